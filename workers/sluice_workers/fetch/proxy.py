"""A proxy, and a list of them as a Secret holds it; pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from yarl import URL

SCHEMES: Final = {"http": 80, "https": 443, "socks5": 1080}
"""The schemes that are known, and their default ports."""
MOST: Final = 1000
"""Proxies that a list holds at the most."""
MOST_BYTES: Final = 255
"""Bytes of a name or a password: SOCKS5 carries no more."""
DIGITS: Final = 6
"""Digits of a mark, unless more are needed to tell the proxies of a list apart."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; its credentials are in no text that is made of it."""

    scheme: str
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    digits: int = field(default=DIGITS, repr=False, compare=False)
    """Of the mark in its name."""

    @property
    def name(self) -> str:
        """Where it is and, with credentials, a mark of these: for logs and metrics."""
        where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        account = f"{self.username}:{self.password}"
        if self.digits > DIGITS:  # two of a list would have the same name
            account = f"{self.scheme}:{self.username is None}:{account}"
        elif self.username is None:
            return where
        return f"{where}/{hashlib.sha256(account.encode()).hexdigest()[: self.digits]}"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ProxyList:
    """The proxies of a list, each once, and what is wrong with its other lines."""

    proxies: tuple[Proxy, ...]
    faults: tuple[str, ...]
    """A sentence a line; none repeats what the line holds, for that may be a password."""


def parse_list(text: str) -> ProxyList:
    """Read one URL a line; empty lines and those that begin with # are passed over."""
    found: dict[Proxy, None] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if not (stripped := line.strip()) or stripped.startswith("#"):
            continue
        try:
            proxy = _parse(stripped)
        except ValueError as error:
            faults.append(f"line {number} {error}")
            continue
        if len(found) == MOST and proxy not in found:
            faults.append(f"line {number} is one too many: {MOST} proxies are allowed")
            break
        found[proxy] = None
    return ProxyList(told_apart(found), tuple(faults))


def told_apart(proxies: Iterable[Proxy]) -> tuple[Proxy, ...]:
    """Return different proxies with names that differ, whatever their order."""
    found = tuple(proxies)
    while len(names := Counter(proxy.name for proxy in found)) < len(found):
        found = tuple(
            replace(proxy, digits=proxy.digits + DIGITS) if names[proxy.name] > 1 else proxy
            for proxy in found
        )
    return found


def _parse(line: str) -> Proxy:
    """Read one URL. Raises ``ValueError`` with the end of a sentence."""
    scheme, separator, _ = line.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError("must begin with http://, https:// or socks5://")
    try:
        parts = urlsplit(line)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host or a port that cannot be read") from None
    if not host:
        raise ValueError("names no host")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must end after host and port; encode / ? # in passwords as %2F %3F %23")
    _check_host(host)
    username = _decoded(parts.username) if parts.username is not None else None
    if username is not None and ":" in username and scheme != "socks5":
        raise ValueError(
            "has a name with a colon, which HTTP proxies cannot tell from the password"
        )
    return Proxy(scheme, host, port or SCHEMES[scheme], username, _decoded(parts.password or ""))


def _check_host(host: str) -> None:
    """Raise ``ValueError`` for a host that clients could not even look up."""
    try:
        host.encode("idna")
        URL.build(scheme="http", host=host)
    except ValueError:
        raise ValueError("has a host or a port that cannot be read") from None


def _decoded(text: str) -> str:
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("has a name or a password that is no UTF-8 once decoded") from None
    if len(found.encode()) > MOST_BYTES:
        raise ValueError(f"has a name or a password of more than {MOST_BYTES} bytes")
    return found
