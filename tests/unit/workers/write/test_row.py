"""From messages to rows."""

import json
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages import Received
from sluice_api.sink import Column, PostgresSink
from sluice_workers import wire
from sluice_workers.write.convert import converter
from sluice_workers.write.row import InvalidRecordError, Row, RowParser, identify


def sink(columns: dict[str, Any], **changes: Any) -> PostgresSink:
    content = {"secretRef": {"name": "w"}, "table": "public.t", "columns": columns}
    key = {"key": [next(iter(columns))]}
    return PostgresSink.model_validate(content | key | changes)


def parser(columns: dict[str, Any], **changes: Any) -> RowParser:
    return RowParser(sink(columns, **changes))


def parse(found: RowParser, record: Any) -> Row:
    return found.parse(Received(json.dumps(record).encode()))


def test_columns_are_filled_from_names_paths_and_metadata() -> None:
    found = parser(
        {
            "id": {"type": "bigint"},
            "city": {"type": "text", "path": "$.address.lines[1]"},
            "whole": {"type": "jsonb", "path": "$"},
            "item_key": {"type": "text", "metadata": "Key"},
            "record": {"type": "text", "metadata": "RecordId"},
            "at": {"type": "timestamptz", "metadata": "FetchedAt"},
            "absent": {"type": "text"},
        }
    )
    record = {"id": "5", "address": {"lines": ["a", "b"]}}
    parsed = parse(found, record)
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    whole = json.dumps(record, separators=(",", ":")).encode()
    assert parsed == (5, "b", whole, "k", "r/k#2", at, None, 77)


def test_appended_records_are_known_by_their_id() -> None:
    given = sink({"a": {"type": "text"}}, mode="Append", key=[])
    parsed = parse(RowParser(given), {"a": "x"})
    assert parsed == ("x", "r/k#2")
    assert identify(given)(parsed) == "r/k#2"


def test_a_row_is_known_by_its_key() -> None:
    columns = {"a": {"type": "text"}, "b": {"type": "bigint"}, "c": {"type": "text[]"}}
    row = ("x", 1, ["y"], 7)
    assert identify(sink(columns, key=["b"]))(row) == 1
    assert identify(sink(columns, key=["b", "a"]))(row) == (1, "x")
    of_lists = identify(sink(columns, key=["c", "a"]))
    assert hash(of_lists(row)) != hash(of_lists(("x", 1, ["z"], 7)))


@pytest.mark.parametrize("missing", [wire.ITEM, wire.ORDINAL, wire.VERSION])
def test_a_missing_header_is_told(missing: str) -> None:
    columns = {"id": {"type": "bigint"}, "record": {"type": "text", "metadata": "RecordId"}}
    message = Received(b'{"id": 1}')
    message.headers = tuple(pair for pair in message.headers if pair[0] != missing)
    with pytest.raises(InvalidRecordError, match=f"header '{missing}' is missing"):
        parser(columns).parse(message)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("text", "x", "x"),
        ("text", 5, "5"),
        ("boolean", True, True),
        ("smallint", 32767, 32767),
        ("integer", "12", 12),
        ("bigint", 3.0, 3),
        ("double precision", "1.5", 1.5),
        ("numeric", "0.1", Decimal("0.1")),
        ("date", "2026-01-02", date(2026, 1, 2)),
        ("timestamptz", "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("timestamptz", 1_700_000_000, datetime.fromtimestamp(1_700_000_000, UTC)),
        ("timestamptz", 1_700_000_000_000, datetime.fromtimestamp(1_700_000_000, UTC)),
        ("timestamp", "2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5)),  # noqa: DTZ001
        ("uuid", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("jsonb", {"a": [1]}, b'{"a":[1]}'),
        ("text[]", ["a", None], ["a", None]),
        ("bigint[]", [1, "2"], [1, 2]),
        ("varchar(3)", "äöü", "äöü"),
        ("numeric(4,2)", "99.994", Decimal("99.994")),
        ("time", "03:04:05.6", time(3, 4, 5, 600_000)),
        ("interval", "P1M2DT3H", "P1M2DT3H"),
        ("interval", 90.5, "90.5 seconds"),
        ("json", {"b": 1, "a": 2}, b'{"b":1,"a":2}'),
        ("inet", "10.0.0.1/8", "10.0.0.1/8"),
        ("inet", "::1", "::1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/8"),
        ("bytea", "AP8=", b"\0\xff"),
        ("bytea", "-_8", b"\xfb\xff"),
        ("public.mood", "happy", "happy"),
        ("uuid[]", ["00000000-0000-0000-0000-000000000001"], [UUID(int=1)]),
        ("numeric[]", ["0.10", 1], [Decimal("0.10"), Decimal(1)]),
    ],
)
def test_a_value_becomes_its_columns_type(kind: str, value: Any, stored: Any) -> None:
    found = converter(Column(type=kind))(value)
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "a\0b"),
        ("boolean", 1),
        ("smallint", 32768),
        ("integer", 1.5),
        ("integer", True),
        ("bigint", "x"),
        ("double precision", []),
        ("numeric", "abc"),
        ("date", "yesterday"),
        ("timestamptz", "soon"),
        ("timestamptz", 67_768_036_191_676_796_929),
        ("timestamp", -1e300),
        ("uuid", "1"),
        ("jsonb", {"a": "\0"}),
        ("text[]", "a"),
        ("bigint[]", ["x"]),
        ("varchar(3)", "four"),
        ("char(3)", "four"),
        ("numeric(4,2)", 99.995),
        ("time", "03:04:05Z"),
        ("time", "late"),
        ("interval", [1]),
        ("interval", True),
        ("inet", "10.0.0.256"),
        ("cidr", "10.0.0.1/8"),
        ("bytea", "a"),
        ("bytea", "ä"),
        ("uuid[]", ["1"]),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_column(kind: str, value: Any) -> None:
    found = parser({"id": {"type": "bigint"}, "c": {"type": kind}})
    with pytest.raises(InvalidRecordError, match=r"^column c: .*wanted"):
        parse(found, {"id": 1, "c": value})


@pytest.mark.parametrize("value", ["00ff", "\\x00ff", "00FF"])
def test_bytes_may_be_written_in_hexadecimal(value: str) -> None:
    convert = converter(Column.model_validate({"type": "bytea", "encoding": "Hex"}))
    assert convert(value) == b"\0\xff"
    with pytest.raises(ValueError, match="hexadecimal"):
        convert("0g")


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="column id must not be null"):
        parse(parser({"id": {"type": "bigint"}}), {})


def test_numbers_keep_every_digit_where_a_column_is_numeric() -> None:
    found = parser({"id": {"type": "bigint"}, "price": {"type": "numeric"}})
    parsed = found.parse(Received(b'{"id": 1, "price": 0.1234567890123456789}'))
    assert parsed[1] == Decimal("0.1234567890123456789")


def test_a_literal_backslash_is_no_nul() -> None:
    assert converter(Column(type="jsonb"))({"a": "\\u0000"}) == b'{"a":"\\\\u0000"}'


@pytest.mark.parametrize("kind", ["numeric(40,19)", "jsonb", "json"])
def test_what_holds_every_digit_keeps_it(kind: str) -> None:
    found = parser({"id": {"type": "bigint"}, "c": {"type": kind}})
    digits = "0.1234567890123456789"
    body = f'{{"id": 1, "c": {digits}}}'.encode()
    stored = found.parse(Received(body))[1]
    assert stored == (Decimal(digits) if kind.startswith("numeric") else digits.encode())


def test_numbers_in_a_document_keep_their_digits_also_beyond_64_bits() -> None:
    found = parser({"id": {"type": "bigint"}, "doc": {"type": "jsonb"}, "t": {"type": "text"}})
    doc = b'{"a":[123456789012345678901234567890,-18446744073709551616],"b":0.12345678901234567890}'
    body = b'{"id": 1, "doc": ' + doc + b', "t": ' + doc + b"}"
    parsed = found.parse(Received(body))
    assert parsed[1:3] == (doc, doc.decode())


KINDS = (
    "text", "varchar", "varchar(3)", "char(3)", "boolean", "smallint", "integer", "bigint", "real",
    "double precision", "numeric", "numeric(4,2)", "date", "time", "timestamp(3)", "timestamptz",
    "interval", "uuid", "json", "jsonb", "bytea", "inet", "cidr", "public.mood", "text[]",
    "uuid[]", "timestamptz[]", "numeric[]", "boolean[]", "integer[]", "jsonb[]", "public.mood[]",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.text() | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(KINDS), VALUES)
def test_no_value_breaks_a_parser_in_any_other_way(kind: str, value: Any) -> None:
    found = parser({"id": {"type": "text"}, "c": {"type": kind}})
    try:
        parsed = parse(found, {"id": "1", "c": value})
    except InvalidRecordError:
        return
    assert len(parsed) == 3


@pytest.mark.parametrize("kind", ["jsonb", "text", "numeric", "text[]"])
@pytest.mark.parametrize(
    "record",
    [
        '{"a": 1, "b": %s}' % ("[" * 300 + "]" * 300),
        '{"a": 1, "b": %s}' % ("[" * 100_000 + "]" * 100_000),
        '{"a": 1, "b": %s, "many": 12345678901234567890}' % ("[" * 600 + "]" * 600),
        '{"a": 1, "b": ["\\ud800"], "many": 12345678901234567890}',
        '{"a": 1, "b": {"\\ud800": 1}, "many": 12345678901234567890}',
        '{"a": 1e9999999, "b": 1, "many": 12345678901234567890}',
        '{"a": 1e999999999999999999999, "b": 1, "many": 12345678901234567890}',
    ],
)
def test_no_json_breaks_a_parser_in_any_other_way(kind: str, record: str) -> None:
    found = parser({"a": {"type": "bigint"}, "b": {"type": kind}, "n": {"type": "numeric"}})
    with pytest.raises(InvalidRecordError):
        found.parse(Received(record.encode()))


def test_a_number_of_seconds_is_written_in_few_digits() -> None:
    found = parser({"a": {"type": "interval"}, "n": {"type": "numeric"}})
    assert found.parse(Received(b'{"a": 1e-9999999}'))[0] == "0 seconds"
    with pytest.raises(InvalidRecordError, match="is not below"):
        found.parse(Received(b'{"a": 1e9999999}'))


@pytest.mark.parametrize(("kind", "places"), [("numeric(30)", 0), ("numeric(38,4)", 4)])
def test_a_numeric_takes_all_nines_that_it_has_room_for(kind: str, places: int) -> None:
    precision = int(kind[8:10])
    most = Decimal(10**precision - 1).scaleb(-places, Context(prec=40))
    assert parse(parser({"a": {"type": kind}}), {"a": str(most)})[0] == most
    with pytest.raises(InvalidRecordError, match="is not below"):
        parse(parser({"a": {"type": kind}}), {"a": str(10 ** (precision - places))})


@pytest.mark.parametrize("value", ["1e400", "-1e400"])
def test_what_is_too_great_for_a_double_is_not_taken_for_infinity(value: str) -> None:
    found = parser({"a": {"type": "double precision"}, "n": {"type": "numeric"}})
    for record in (f'{{"a": {value}}}', f'{{"a": "{value}"}}'):
        with pytest.raises(InvalidRecordError, match="is beyond"):
            found.parse(Received(record.encode()))
    assert found.parse(Received(b'{"a": "-Infinity"}'))[0] == float("-inf")


@pytest.mark.parametrize("kind", ["numeric", "numeric(5,2)", "double precision"])
def test_no_row_is_known_by_nan(kind: str) -> None:
    with pytest.raises(InvalidRecordError, match="no row is known"):
        parse(parser({"a": {"type": kind}}), {"a": "NaN"})
