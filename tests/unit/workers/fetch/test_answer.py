"""Where the records are in an answer."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.answer import MalformedAnswerError, RecordsPath

names = st.sampled_from(["a", "b", "c"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(document=documents, members=st.lists(names, max_size=3), elements=st.booleans())
def test_the_short_way_finds_what_the_library_finds(
    *, document: object, members: list[str], elements: bool
) -> None:
    below = "".join([*(f".{name}" for name in members), "[*]" if elements else ""])
    found = list(RecordsPath.compile("$" + below).select(document))
    # In a list, because the library would parse a document that is text once more.
    assert found == JSONPathEnvironment(strict=True).findall("$[0]" + below, [document])


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("$", b'{"id": 1}', [{"id": 1}]),
        ("$[*]", b'[{"id": 1}, {"id": 2}]', [{"id": 1}, {"id": 2}]),
        ("$.data[*]", b'{"data": [{"id": 1}]}', [{"id": 1}]),
        ("$.data[*]", b'{"data": []}', []),
        ("$.data[*]", b'{"error": "x"}', []),
        ("$.data[*]", b'"data"', []),
        ("$.data[?@.ok == true]", b'{"data": [{"ok": true}, {"ok": false}]}', [{"ok": True}]),
        ("$..item", b'{"a": {"item": {"x": 1}}}', [{"x": 1}]),
        ("$..item", b'"[1]"', []),
    ],
)
def test_records(path: str, body: bytes, expected: list[object]) -> None:
    assert [json.loads(record) for record in RecordsPath.compile(path).records(body)] == expected


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("$", b"[1]", "must select JSON objects, found an array"),
        ("$[*]", b"[1]", "must select JSON objects, found a number"),
        ("$[*]", b'["x"]', "found a string"),
        ("$[*]", b"[null]", "found null"),
        ("$[*]", b"[true]", "found a boolean"),
        ("$", b"", "must be JSON"),
        ("$", b'{"id": 1', "must be JSON"),
        ("$", b'{"id": NaN}', "must be JSON"),
        ("$", b'{"id": "\xff"}', "must be JSON"),
        ("$", b"[" * 2000 + b"]" * 2000, "must be JSON"),
        ("$..a", b"[" * 900 + b"]" * 900, "cannot be applied"),
    ],
)
def test_malformed_answers(path: str, body: bytes, message: str) -> None:
    with pytest.raises(MalformedAnswerError, match=message):
        RecordsPath.compile(path).records(body)


@given(st.binary(max_size=60))
def test_no_answer_breaks_it(body: bytes) -> None:
    try:
        found = RecordsPath.compile("$.data[*]").records(body)
    except MalformedAnswerError:
        return
    assert all(isinstance(orjson.loads(record), dict) for record in found)


@pytest.mark.parametrize("path", ["data", "$.", "$[", "$.a[*"])
def test_what_is_no_path_is_a_configuration_error(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.records"):
        RecordsPath.compile(path)
