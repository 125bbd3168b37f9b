"""How an item becomes a URL."""

from dataclasses import replace
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.request import InvalidItemError, UrlTemplate

ITEM = Item(partition=0, offset=0, key=b"4711", value=b"", id="r/4711", version=1)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda found: found not in {".", ".."}
)


@given(text, text)
def test_what_is_filled_in_stays_one_segment_and_comes_back_whole(key: str, city: str) -> None:
    template = UrlTemplate.parse("https://api.example.com/users/{key}/in/{city}?q={key}")
    item = replace(ITEM, key=key.encode(), value=orjson.dumps({"city": city}))
    path, _, query = template.url(item).partition("?")
    *_, found_key, _, found_city = path.split("/")
    assert (unquote(found_key), unquote(found_city)) == (key, city)
    assert unquote(query) == f"q={key}"


def test_a_url_without_names_is_itself() -> None:
    assert UrlTemplate.parse("http://api/all").url(ITEM) == "http://api/all"


@pytest.mark.parametrize(("value", "expected"), [(3, "3"), (2.5, "2.5"), (True, "true")])
def test_numbers_and_booleans_are_written_as_in_json(value: object, expected: str) -> None:
    item = replace(ITEM, value=orjson.dumps({"page": value}))
    assert UrlTemplate.parse("http://api/{page}").url(item) == f"http://api/{expected}"


def test_a_value_that_the_url_does_not_need_is_not_looked_at() -> None:
    assert UrlTemplate.parse("http://api/{key}").url(replace(ITEM, value=b"\x00raw")) == (
        "http://api/4711"
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "found no such attribute; the item's attributes: none"),
        (b'{"town": 1}', "found no such attribute; the item's attributes: town"),
        (b'{"city": null}', "found null"),
        (b'{"city": ["x"]}', r'found \["x"\]'),
        (b'{"city": ".."}', "must not be empty"),
        (b'{"city": ""}', "must not be empty"),
        (b"[1]", "must be a JSON object, found list"),
        (b"{", "must be a JSON object"),
    ],
)
def test_an_item_without_the_attribute_is_invalid_and_told_why(value: bytes, message: str) -> None:
    template = UrlTemplate.parse("http://api/{key}/{city}")
    with pytest.raises(InvalidItemError, match=message):
        template.url(replace(ITEM, value=value))


@pytest.mark.parametrize("key", [b".", b".."])
def test_a_key_that_would_change_the_path_is_invalid(key: bytes) -> None:
    with pytest.raises(InvalidItemError, match="must not be empty"):
        UrlTemplate.parse("http://api/{key}").url(replace(ITEM, key=key))


def test_a_flawed_item_is_invalid() -> None:
    with pytest.raises(InvalidItemError, match="no key"):
        UrlTemplate.parse("http://api/{key}").url(replace(ITEM, flaw="no key"))


@pytest.mark.parametrize("url", ["http://api/{key", "http://api/key}", "http://api/{}", "h{{a}}"])
def test_stray_braces_are_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.url"):
        UrlTemplate.parse(url)
