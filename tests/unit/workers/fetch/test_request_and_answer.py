"""From an item to a URL, and from an answer to records."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.answer import MalformedAnswerError, RecordsPath
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.request import InvalidItemError, UrlTemplate


def item(key: str = "k", value: bytes = b"") -> Item:
    return Item(0, 0, key.encode(), value, "id", 1)


def test_key_and_attributes_are_percent_encoded() -> None:
    template = UrlTemplate.parse("http://api/{country}/users/{key}?v=1")
    assert template.url(item("a/b ü", '{"country": "é&"}'.encode())) == (
        "http://api/%C3%A9%26/users/a%2Fb%20%C3%BC?v=1"
    )


def test_an_attribute_that_is_not_there_is_told_with_those_that_are() -> None:
    template = UrlTemplate.parse("http://api/{country}/{key}")
    with pytest.raises(InvalidItemError, match=r"\{country\}.*attributes: city"):
        template.url(item(value=b'{"city": "x"}'))


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_a_key_that_would_ask_for_another_resource_is_refused(key: str) -> None:
    with pytest.raises(InvalidItemError):
        UrlTemplate.parse("http://api/{key}").url(item(key))


@pytest.mark.parametrize("url", ["http://api/{", "http://api/{}", "http://api/}"])
def test_stray_braces_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        UrlTemplate.parse(url)


def test_one_answer_is_one_record_unless_a_path_says_otherwise() -> None:
    assert RecordsPath.compile("$").records(b'{"a": 1}') == (b'{"a":1}',)
    many = b'{"data": [{"a": 1}, {"a": 2}]}'
    assert RecordsPath.compile("$.data[*]").records(many) == (b'{"a":1}', b'{"a":2}')
    assert RecordsPath.compile("$.nothing[*]").records(many) == ()
    assert RecordsPath.compile("$.data[?@.a == 2]").records(many) == (b'{"a":2}',)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[1]", b"1", b'{"data": "x"}'])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        RecordsPath.compile("$.data" if body.startswith(b'{"') else "$").records(body)


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="JSONPath"):
        RecordsPath.compile("$.a[")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), values)))
def test_the_short_way_selects_what_the_library_does(records: list[dict[str, Any]]) -> None:
    body = json.dumps({"data": records}).encode()
    short = RecordsPath.compile("$.data[*]").records(body)
    long = RecordsPath.compile("$['data'][*]").records(body)
    assert short == long
    assert [json.loads(record) for record in short] == records
