"""Many messages at once give what each gives by itself."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages import Received
from sluice_api.sink import PostgresSink
from sluice_workers import wire
from sluice_workers.settings import Topic
from sluice_workers.write.reader import Reader
from sluice_workers.write.row import InvalidRecordError, RowParser

TYPES = (
    "text", "varchar(3)", "char(2)", "boolean", "smallint", "bigint", "real", "double precision",
    "numeric", "numeric(4,2)", "date", "timestamp", "timestamptz", "uuid", "jsonb", "interval",
    "text[]", "bigint[]", "timestamptz[]", "inet", "bytea", "public.mood",
)  # fmt: skip
TEXTS = st.sampled_from(
    ("", "a", "four", "a\0b", "7", "1e400", "2026-01-02", "2026-01-02T03:04:05",
     "2026-01-02T03:04:05+02:00", "2026-01-02t03:04:05.9999999z",
     "00000000-0000-0000-0000-000000000001", "10.0.0.1", "AP8=")
)  # fmt: skip
NUMBERS = st.sampled_from(
    (0, -1, 32767, 32768, 2**63 - 1, 2**63, 2**64, 10**400, 0.5, 3.0, 2.0**53, 1e300)
)
SCALARS = st.none() | st.booleans() | TEXTS | NUMBERS
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.just("b"), SCALARS)


def parser_of(columns: dict[str, dict[str, Any]], **changes: Any) -> RowParser:
    base = {"secretRef": {"name": "w"}, "table": "public.t", "key": ["id"], "columns": columns}
    return RowParser(PostgresSink.model_validate(base | changes))


@st.composite
def columns(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
    found: dict[str, dict[str, Any]] = {"id": {"type": "bigint"}}
    for number, kind in enumerate(kinds):
        path = draw(st.sampled_from((f"$.c{number}", f"$.c{number}.b", f"$.c{number}[0]", "$")))
        found[f"c{number}"] = {"type": kind, "path": path, "nullable": draw(st.booleans())}
    if draw(st.booleans()):
        metadata = draw(st.sampled_from(("Key", "ItemId", "RecordId", "FetchedAt")))
        found["m"] = {"type": "text", "metadata": metadata}
    return found


@st.composite
def messages(draw: st.DrawFn) -> list[Received]:
    """Mostly records whose columns are all of one kind, as they come; sometimes anything."""
    alike = draw(st.fixed_dictionaries({f"c{number}": VALUES for number in range(3)}))
    known: wire.Headers = Received().headers
    found = []
    for offset in range(draw(st.integers(1, 5))):
        other = draw(st.none() | st.fixed_dictionaries({"c0": VALUES}))
        record = alike | {"id": offset} | (other or {})
        value = draw(
            st.just(json.dumps(record).encode())
            | st.sampled_from((b"", b"no json", b"[1", b"2]", b"5", b'{"id":1},{"id":2}', None))
            if draw(st.integers(0, 9)) == 0
            else st.just(json.dumps(record).encode())
        )
        headers = known
        if draw(st.integers(0, 9)) == 0:
            headers = tuple(draw(st.permutations(known)))[draw(st.integers(0, 2)) :]
        if draw(st.integers(0, 9)) == 0:
            headers = ((wire.VERSION, draw(st.sampled_from((b"9", b"x", None)))), *known)  # type: ignore[assignment]
        found.append(Received(value, offset=offset, key=draw(st.sampled_from((b"k", b"\xff"))),
                              headers=headers))  # fmt: skip
    return found


@given(columns(), st.sampled_from(("Upsert", "Append", "Apart")), messages())
def test_all_at_once_and_one_by_one_agree(
    wanted: dict[str, Any], mode: str, given: list[Received]
) -> None:
    of_mode: dict[str, dict[str, Any]] = {
        "Upsert": {},
        "Append": {"mode": "Append", "key": []},
        "Apart": {"mode": "Append", "key": [], "recordIds": "Apart"},
    }
    parser = parser_of(wanted, **of_mode[mode])
    rows, refused = [], []
    for message in given:
        try:
            row = parser.parse(message)
        except InvalidRecordError as error:
            refused.append(str(error))
        else:
            rows.append(row)
            assert repr(parser.parse_all([message]) or [row]) == repr([row])
    batch = Reader(parser, Topic(name="t", generation=7), {0: 0}).read([given], 0.0)
    assert list(map(repr, batch.rows)) == list(map(repr, rows))
    assert [each.message for each in batch.rejected] == refused
    assert batch.ends == {0: len(given)}


SPELLED: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "varchar(3)": st.text(max_size=4),
    "boolean": st.booleans(),
    "smallint": st.integers(-32769, 32768),
    "bigint": st.integers(-(2**63) - 1, 2**63),
    "double precision": st.floats(allow_nan=False) | st.integers() | st.just(-(10**309)),
    "numeric(4,2)": st.decimals(-101, 101, places=2).map(str) | st.floats(-101, 101),
    "date": st.dates().map(str),
    "timestamptz": st.datetimes().map(str) | st.sampled_from(
        ("2026-01-02T03:04:05.9999995Z", "2026-01-02T03:04:05.1234567+02",
         "20260102T030405,1234567Z", "9999-12-31T23:59:59.9999999Z", "2026-01-02T03:04:60Z")
    ),
    "uuid": st.uuids().map(str),
    "jsonb": st.recursive(SCALARS, st.lists),
    "bigint[]": st.lists(st.integers(0, 9)),
    "text[]": st.lists(st.text() | st.integers(2**64, 2**65)),
}  # fmt: skip
"""Values as APIs spell them, mostly of their column's type."""
ODDITIES = st.sampled_from(
    (b"1e999", b'"\xff"', b'"\xc3\xa4"', b'"\\ud800"', b"[" * 1010 + b"]" * 1010, b"1" * 400,
     b"-0", b"{}")
)  # fmt: skip


@given(st.data())
def test_columns_are_decoded_to_what_the_records_hold(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(SPELLED)), min_size=1, max_size=4))
    columns = {f"c{at}": {"type": kind, "nullable": at % 2 == 0} for at, kind in enumerate(kinds)}
    of_type = st.fixed_dictionaries({f"c{at}": SPELLED[kind] for at, kind in enumerate(kinds)})
    records = data.draw(st.lists(of_type, min_size=1))
    match data.draw(st.sampled_from(("as it is", "as it is", "another", "missing"))):
        case "another":
            records[-1]["c0"] = data.draw(SCALARS)
        case "missing":
            del records[-1]["c0"]
    texts = [json.dumps(each).encode() for each in records]
    odd = data.draw(st.none() | ODDITIES)
    if odd is not None:
        texts[-1] = texts[-1][:-1] + b', "odd": %s}' % odd
    given = [Received(text) for text in texts]
    parser = parser_of(columns, mode="Append", key=[])
    found = parser.parse_all(given)
    alone = []
    for message in given:
        try:
            alone.append(parser.parse(message))
        except InvalidRecordError:
            assert found is None
    assert found is None or repr(found) == repr(alone)


@pytest.mark.parametrize("kind", ["text", "varchar(3)", "bigint", "jsonb", "bigint[]", "numeric"])
@pytest.mark.parametrize("path", ["$.c", "$.c.b", "$"])
def test_what_is_nested_too_deeply_is_refused(kind: str, path: str) -> None:
    parser = parser_of({"id": {"type": "bigint"}, "c": {"type": kind, "path": path}})
    for depth in (260, *range(900, 1030, 3)):
        nested = b'{"b":' * depth + b"1" + b"}" * depth
        record = Received(b'{"id": 1, "c": %s}' % nested)
        assert not parser.parse_all([record])
        with pytest.raises(InvalidRecordError):
            parser.parse(record)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("double precision", b"1e400", "is beyond what a double"),
        ("real", b"-2e308", "is beyond what a double"),
        ("bigint", b"9007199254740993.0", "is written with point"),
        ("bigint", b"123456789012345678e1", "is written with point"),
        ("numeric", b"1e131072", "is not below"),
        ("numeric", b'"1e140000"', "is not below"),
        ("inet", b'"fe80::1%eth0"', "holds a zone"),
    ],
)
def test_what_would_be_stored_as_something_else_is_refused(
    kind: str, value: bytes, why: str
) -> None:
    parser = parser_of({"id": {"type": "bigint"}, "c": {"type": kind}})
    record = Received(b'{"id": 1, "c": %s}' % value)
    assert parser.parse_all([record, Received(b'{"id": 2, "c": null}')]) is None
    with pytest.raises(InvalidRecordError, match=f"column c: .* {why}"):
        parser.parse(record)


def test_a_header_that_comes_twice_counts_as_it_does_alone() -> None:
    parser = parser_of({"id": {"type": "bigint"}})
    usual = Received(b'{"id": 1}', headers=(("trace", b"x"), (wire.VERSION, b"1")))
    twice = Received(b'{"id": 2}', headers=((wire.VERSION, b"7"), (wire.VERSION, b"1")))
    assert parser.parse(twice) == (2, 7)
    assert parser.parse_all([usual, twice]) is None


@pytest.mark.parametrize("ignored", [b"1e999", b"1" * 400, b"9" * 5000])
def test_a_number_that_no_column_shows_need_not_fit_a_double(ignored: bytes) -> None:
    parser = parser_of({"id": {"type": "bigint"}, "t": {"type": "text"}})
    for row in (b'"id": 1, "t": "x"', b'"id": "1", "t": "x"', b'"id": 1.0, "t": "x"'):
        odd = Received(b'{%s, "other": %s}' % (row, ignored))
        assert parser.parse_all([odd]) == [parser.parse(odd)] == [(1, "x", 77)]


def test_records_that_fit_are_parsed_at_once() -> None:
    parser = parser_of({"id": {"type": "bigint"}, "at": {"type": "timestamptz"}})
    texts = [{"id": 1, "at": "2026-01-02T03:04:05Z"}, {"id": 2, "at": None}, {"id": 3}]
    received = [Received(json.dumps(each).encode()) for each in texts]
    assert parser.parse_all(received) == [parser.parse(each) for each in received]
    assert parser.parse_all([*received, Received(b'{"id": "x"}')]) is None
