"""A record's line: readable by anybody, and back to the same bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.archive.line import Record, UnreadableLineError, decode, decode_all, encode

HEADERS = (
    ("sluice-item", b"r-1/1001"),
    ("sluice-version", b"42949672960"),
    ("sluice-generation", b"5"),
    ("sluice-ordinal", b"0"),
)


def record(value: bytes = b'{"id": 1}', key: bytes = b"1001", offset: int = 17) -> Record:
    return Record(3, offset, 1_764_000_000_000, key, HEADERS, value)


def test_a_line_is_json_with_everything_of_the_message() -> None:
    assert json.loads(encode(record())) == {
        "partition": 3,
        "offset": 17,
        "timestamp": 1_764_000_000_000,
        "key": "1001",
        "headers": {name: value.decode() for name, value in HEADERS},
        "value": {"id": 1},
    }


@pytest.mark.parametrize(
    "value",
    [
        b'{"n": 0.10000000000000000000001, "big": 123456789012345678901234567890}',
        b'{"a":"},\\"value\\":1"}',
        b'{"a":1,"value":{"value":2}}',
        b"\r[1 ,2]\r",
        b'"base64:aGk="',
        b"no json",
        b"",
        b'{"a":\n1}',
        b"\xff\x00",
        b"null",
    ],
)
def test_a_value_comes_back_byte_for_byte(value: bytes) -> None:
    line = encode(record(value))
    assert line.count(b"\n") == 1
    json.loads(line)
    assert decode(line) == record(value)


texts = st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode))
values = st.one_of(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ).map(lambda found: json.dumps(found, ensure_ascii=False).encode(errors="surrogatepass")),
)
records = st.builds(
    Record,
    st.integers(0, 999),
    st.integers(0, 2**62),
    st.integers(0, 2**42),
    texts,
    st.dictionaries(st.text(max_size=8), texts, max_size=4).map(lambda found: (*found.items(),)),
    values,
)


@given(st.lists(records, max_size=5))
def test_every_message_comes_back(found: list[Record]) -> None:
    lines = b"".join(map(encode, found))
    assert list(decode_all(lines)) == found
    for line in lines.split(b"\n")[:-1]:
        json.loads(line)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"key":"a"}', b'{"headers":{},"value":1}', b'{"x":{},"value":1']
)
def test_another_line_is_refused(line: bytes) -> None:
    with pytest.raises(UnreadableLineError):
        decode(line)
