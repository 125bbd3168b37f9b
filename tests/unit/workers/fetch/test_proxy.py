"""The list of proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.connection import open_session
from sluice_workers.fetch.proxy import MOST, Proxy, parse_list

ALIKE = (3497, 6043)
"""Passwords of `user` whose hashes begin with the same six digits."""


@pytest.mark.parametrize(
    ("line", "proxy"),
    [
        ("http://10.0.0.1:3128", Proxy("http", "10.0.0.1", 3128)),
        ("https://proxy.example.com", Proxy("https", "proxy.example.com", 443)),
        ("socks5://h", Proxy("socks5", "h", 1080)),
        ("  http://u:p%40w@h:1/  ", Proxy("http", "h", 1, "u", "p@w")),
        ("http://[2001:db8::1]:8080", Proxy("http", "2001:db8::1", 8080)),
    ],
)
def test_a_line_is_a_proxy(line: str, proxy: Proxy) -> None:
    assert parse_list(line).proxies == (proxy,)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("10.0.0.1:3128", "must begin with http://, https:// or socks5://"),
        ("socks4://h:1", "must begin with http://, https:// or socks5://"),
        ("http://u:secret@h:99999", "has a host or a port that cannot be read"),
        ("http://u:secret@", "names no host"),
        ("http://u:sec/ret@h:1", "has a host or a port that cannot be read"),
        ("http://h:1/path", "must end after host and port"),
        ("http://a b:1", "has a host or a port that cannot be read"),
        ("http://ret..h:1", "has a host or a port that cannot be read"),
        (f"socks5://{'ret' * 22}:1", "has a host or a port that cannot be read"),
        ("http://u%3Aret:w@h:1", "has a name with a colon"),
        ("http://u:ret%FF@h:1", "has a name or a password that is no UTF-8"),
        (f"socks5://u:{'ret' * 100}@h:1", "has a name or a password of more than 255 bytes"),
    ],
)
def test_a_fault_is_told_by_its_line_without_what_the_line_holds(line: str, fault: str) -> None:
    found = parse_list(f"# the first\n\n{line}\nhttp://good:1\n")
    assert found.proxies == (Proxy("http", "good", 1),)
    assert len(found.faults) == 1
    assert found.faults[0].startswith(f"line 3 {fault}")
    assert "ret" not in found.faults[0]


def test_a_proxy_is_listed_once_and_accounts_are_told_apart() -> None:
    found = parse_list("http://h:1\nhttp://h:1\nhttp://a:x@h:1\nhttp://b:x@h:1").proxies
    assert len(found) == 3
    assert len({proxy.name for proxy in found}) == 3


def test_names_differ_where_short_marks_and_addresses_do_not() -> None:
    accounts = [f"http://user:{number}@h:1" for number in ALIKE]
    lines = [*accounts, "http://h:1", "socks5://h:1", "https://h:1", "http://user:x@h:1"]
    found = {proxy: proxy.name for proxy in parse_list("\n".join(lines)).proxies}
    assert len(set(found.values())) == len(lines)
    assert all(name.startswith("h:1") for name in found.values())
    again = parse_list("\n".join(reversed(lines))).proxies
    assert {proxy: proxy.name for proxy in again} == found
    alone = parse_list("\n".join(lines[1:])).proxies
    assert [proxy.name for proxy in alone if proxy.password == "x"] == [found[alone[-1]]]
    assert alone[0].name == Proxy("http", "h", 1, "user", str(ALIKE[1])).name != found[alone[0]]


def test_there_is_a_bound() -> None:
    found = parse_list("\n".join(f"http://h:{port}" for port in range(1, MOST + 5)))
    assert len(found.proxies) == MOST
    assert found.faults == (f"line {MOST + 1} is one too many: {MOST} proxies are allowed",)


@given(st.text() | st.from_regex(r"(http|socks5)://[^/?#]{1,12}(:[0-9]{1,6})?", fullmatch=True))
async def test_no_text_breaks_it_and_each_proxy_can_be_used(text: str) -> None:
    for proxy in parse_list(text).proxies:
        assert proxy.host
        assert 0 < proxy.port < 65536
        await open_session(1, Addresses(), proxy).close()


@given(st.text(min_size=1), st.text(min_size=4))
def test_credentials_are_in_no_text(username: str, password: str) -> None:
    proxy = Proxy("http", "host", 1, username, password)
    for text in (str(proxy), repr(proxy), proxy.name):
        assert password not in text
