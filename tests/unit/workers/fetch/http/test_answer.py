"""Where the records are in an answer."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment

from sluice_api.errors import ConfigurationError
from sluice_api.http import Http
from sluice_workers import kafka
from sluice_workers.fetch.http.answer import Reader, Records
from sluice_workers.fetch.http.body import MalformedAnswerError, TooLargeError
from sluice_workers.fetch.http.jsonpath import Path

names = st.sampled_from(["a", "b", "c"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def reader(**http: object) -> Reader:
    return Records(Http.model_validate({"url": "http://api/", **http})).reader()


def read(*pieces: bytes, **http: object) -> tuple[bytes, ...]:
    found = reader(**http)
    for piece in pieces:
        found.feed(piece)
    found.end()
    return found.records()


@given(document=documents, members=st.lists(names, max_size=3), elements=st.booleans())
def test_the_short_way_finds_what_the_library_finds(
    *, document: object, members: list[str], elements: bool
) -> None:
    below = "".join([*(f".{name}" for name in members), "[*]" if elements else ""])
    found = list(Path("$" + below, "f").all(document))
    # In a list, because the library would parse a document that is text once more.
    assert found == JSONPathEnvironment(strict=True).findall("$[0]" + below, [document])


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("$", b'{"id": 1}', [{"id": 1}]),
        ("$[*]", b'[{"id": 1}, {"id": 2}]', [{"id": 1}, {"id": 2}]),
        ("$.data[*]", b'{"data": [{"id": 1}]}', [{"id": 1}]),
        ("$.data[*]", b'{"data": []}', []),
        ("$.data[*]", b'{"data": null}', []),
        ("$.data.items[*]", b'{"data": null}', []),
        ("$[*]", b"null", []),
        ("$.data[?@.ok == true]", b'{"data": [{"ok": true}, {"ok": false}]}', [{"ok": True}]),
        ("$..item", b'{"a": {"item": {"x": 1}}}', [{"x": 1}]),
        ("$..item", b"{}", []),
        ("$.data[0]", b'{"data": []}', []),
        ("$.data[?@.ok == true]", b'{"data": [{"ok": false}]}', []),
    ],
)
def test_records(path: str, body: bytes, expected: list[object]) -> None:
    assert [json.loads(record) for record in read(body, records=path)] == expected


@pytest.mark.parametrize("form", ["JSON", "NDJSON"])
def test_a_byte_order_mark_is_passed_over_at_the_beginning_alone(form: str) -> None:
    assert read(b"\xef\xbb", b'\xbf{"id": 1}', format=form) == (b'{"id": 1}',)
    with pytest.raises(MalformedAnswerError, match="must be JSON"):
        read(b'{"id": 1}\n\xef\xbb\xbf{"id": 2}', format=form)


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
        ("$.a", b'{"a": [1]}', r"found an array; \$\.a\[\*\] selects its elements"),
        ("$", b'{"id": 1}\n{"id": 2}', "a document a line is format: NDJSON"),
        ("$", b"\x1f\x8b\x08", "it is gzip, which no content-encoding says"),
        ("$", b'{"id": NaN}', "must be JSON"),
        ("$", b'{"id": "\xff"}', "must be JSON"),
        ("$", b"[" * 2000 + b"]" * 2000, "must be JSON"),
        ("$..a", b"[" * 900 + b"]" * 900, "cannot be applied"),
        ("$[*]", b'[{"a":' + b"[" * 500 + b"]" * 500 + b"}]", "cannot be written as JSON"),
    ],
)
def test_malformed_answers(path: str, body: bytes, message: str) -> None:
    with pytest.raises(MalformedAnswerError, match=message):
        read(body, records=path)


@given(st.binary(max_size=60))
def test_no_answer_breaks_it(body: bytes) -> None:
    try:
        found = read(body, records="$.data[*]")
    except MalformedAnswerError:
        return
    assert all(isinstance(orjson.loads(record), dict) for record in found)


@pytest.mark.parametrize("path", ["data", "$.", "$[", "$.a[*"])
def test_what_is_no_path_is_a_configuration_error(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.records"):
        Records(Http(url="http://api/", records=path))


lines = st.lists(
    st.dictionaries(names, st.integers(-9, 9) | st.text(max_size=5), max_size=3), max_size=6
)


@given(found=lines, cuts=st.lists(st.integers(1, 40), max_size=8), ended=st.booleans())
def test_lines_are_records_wherever_the_pieces_end(
    *, found: list[dict[str, object]], cuts: list[int], ended: bool
) -> None:
    text = b"\n".join(map(orjson.dumps, found)) + (b"\n" if ended else b"")
    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    records = read(*pieces, rest, format="NDJSON")
    assert [orjson.loads(record) for record in records] == found


def test_lines_may_be_empty_and_end_as_in_windows() -> None:
    assert read(b'{"a":1}\r\n\r\n', b'\n{"a":2}', format="NDJSON") == (b'{"a":1}', b'{"a":2}')


def test_a_path_selects_in_every_line() -> None:
    text = b'{"d":[{"a":1}]}\n{"d":[]}\n{"x":1}'
    found = read(text, format="NDJSON", records="$.d[*]", missingRecords="Ignore")
    assert found == (b'{"a":1}',)
    with pytest.raises(MalformedAnswerError, match=r"line 3 of the answer: records is \$\.d"):
        read(text, format="NDJSON", records="$.d[*]")


@pytest.mark.parametrize(
    ("path", "body", "gap"),
    [
        ("$.data[*]", b'{"error": "x", "code": 3}', r"\$ must hold 'data', found 'error', 'code'"),
        ("$.data[*]", b"{}", r"\$ must hold 'data', found no members"),
        ("$.data", b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}', "'e' and 1 more"),
        ("$.a.b[?@.c]", b'{"a": [1]}', r"\$\.a must be an object to hold 'b', found an array"),
        ("$.a[*]", b'{"a": "x"}', r"\$\.a must be an array or an object, found a string"),
        ("$[*]", b"7", r"\$ must be an array or an object, found a number"),
        ("$..item", b'"[1]"', r"\$ must be an array or an object, found a string"),
        ("$['a b'].c", b'{"a b": {}}', r"\$\.a b must hold 'c', found no members"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path: str, body: bytes, gap: str) -> None:
    with pytest.raises(MalformedAnswerError, match=gap):
        read(body, records=path)
    assert read(body, records=path, missingRecords="Ignore") == ()


@given(document=documents, members=st.lists(names, max_size=3), elements=st.booleans())
def test_where_something_is_found_there_is_no_gap(
    *, document: object, members: list[str], elements: bool
) -> None:
    below = "".join([*(f".{name}" for name in members), "[*]" if elements else ""])
    short, long = Path("$" + below, "f"), Path("$" + below.replace(".a", "['a']"), "f")
    assert short.gap(document) == long.gap(document)
    assert not list(short.all(document)) or short.gap(document) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a":1}\n{"a":', "line 2 of the answer must be JSON"),
        (b"[1]", "must select JSON objects, found an array"),
        (b'{"a":1}\n\n\xff', "line 3"),
    ],
)
def test_a_malformed_line_is_told_by_its_number(text: bytes, message: str) -> None:
    with pytest.raises(MalformedAnswerError, match=message):
        read(text, format="NDJSON")


def test_fields_are_what_a_record_keeps() -> None:
    body = b'{"data": [{"id": 1, "a": {"b": [5, 6]}, "big": "x"}, {"id": 2, "a": null}]}'
    fields = {"id": "$.id", "last": "$.a.b[-1]", "none": "$.nope"}
    found = read(body, records="$.data[*]", fields=fields)
    assert found == (b'{"id":1,"last":6}', b'{"id":2}')


@pytest.mark.parametrize("path", ["$", "$[*]"])
def test_a_record_longer_than_a_message_is_too_large(path: str) -> None:
    record = orjson.dumps({"a": "x" * kafka.MAX_VALUE_BYTES})
    with pytest.raises(TooLargeError, match="the broker takes"):
        read(record if path == "$" else b"[%b]" % record, records=path)


def test_a_wrong_field_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"source\.http\.fields\.id"):
        reader(fields={"id": "$["})
