"""Every type on its way from a record through COPY and merge into a column of a real Postgres."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from integration.write import sessions
from sluice_api.sink import PostgresSink
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers.write.offsets import Owner
from sluice_workers.write.row import RowParser

OWNER = Owner("u", "ns/j", 1)
UUID = "00000000-0000-0000-0000-00000000000a"
OWN = """
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE SCHEMA "user";
    CREATE TYPE "user"."order" AS ENUM ('asc', 'desc');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
"""

# type, JSON in the record, the column's text in Postgres
VALUES = [
    ("text", '"x"', "x"),
    ("varchar(3)", '"abc"', "abc"),
    ("char(3)", '"a"', "a"),
    ("boolean", "true", "true"),
    ("smallint", "-32768", "-32768"),
    ("integer", "2147483647", "2147483647"),
    ("bigint", "9223372036854775807", "9223372036854775807"),
    ("real", "0.5", "0.5"),
    ("double precision", "1e300", "1e+300"),
    ("numeric", "0.12345678901234567890", "0.12345678901234567890"),
    ("numeric", "123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ("numeric(10,2)", "19.9", "19.90"),
    ("numeric(30,18)", "123456789012.123456789012345678", "123456789012.123456789012345678"),
    ("date", '"2026-02-28"', "2026-02-28"),
    ("date", '"9999-12-31"', "9999-12-31"),
    ("date", '"0001-01-01"', "0001-01-01"),
    ("timestamp", '"0001-01-01T00:00:00"', "0001-01-01 00:00:00"),
    ("timestamptz", '"0001-01-01T00:00:00Z"', "0001-01-01 00:00:00+00"),
    ("timestamptz", '"9999-12-31T23:59:59.999999Z"', "9999-12-31 23:59:59.999999+00"),
    ("date[]", '["9999-12-31"]', "{9999-12-31}"),
    ("time", '"23:59:59.5"', "23:59:59.5"),
    ("timestamp", '"2026-01-02T03:04:05.123456"', "2026-01-02 03:04:05.123456"),
    ("timestamptz", '"2026-01-02T03:04:05.123456+02:00"', "2026-01-02 01:04:05.123456+00"),
    ("timestamptz(3)", '"2026-01-02T03:04:05.1236Z"', "2026-01-02 03:04:05.124+00"),
    ("interval", '"P1M2DT3H"', "1 mon 2 days 03:00:00"),
    ("interval", "90", "00:01:30"),
    ("uuid", f'"{UUID}"', UUID),
    ("json", '{"b": 1, "a": [null]}', '{"b":1,"a":[null]}'),
    ("jsonb", '{"b": 1, "a": [null]}', '{"a": [null], "b": 1}'),
    ("jsonb", "0.12345678901234567890", "0.12345678901234567890"),
    ("jsonb", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("bytea", '"AP8="', "\\x00ff"),
    ("inet", '"10.0.0.1/8"', "10.0.0.1/8"),
    ("inet", '"::1"', "::1/128"),
    ("cidr", '"10.0.0.0/8"', "10.0.0.0/8"),
    ("public.mood", '"sad"', "sad"),
    ("user.order", '"desc"', "desc"),
    ("user.order[]", '["desc"]', "{desc}"),
    ("pg_catalog.int4range", '"[1,5)"', "[1,5)"),
    ("pg_catalog.macaddr", '"08:00:2b:01:02:03"', "08:00:2b:01:02:03"),
    ("pg_catalog.tsvector[]", '["a b"]', """{"'a' 'b'"}"""),
    ("public.positive", "7", "7"),
    ("public.citext", '"AbC"', "AbC"),
    ("public.mood[]", '["sad", null]', "{sad,NULL}"),
    ("text[]", '["a", null, "b,c"]', '{a,NULL,"b,c"}'),
    ("integer[]", "[1, 2]", "{1,2}"),
    ("bigint[]", "[]", "{}"),
    ("boolean[]", "[true, false]", "{t,f}"),
    ("numeric[]", "[0.10, 1]", "{0.10,1}"),
    ("double precision[]", "[0.5]", "{0.5}"),
    ("uuid[]", f'["{UUID}"]', f"{{{UUID}}}"),
    ("timestamptz[]", '["2026-01-02T03:04:05Z"]', '{"2026-01-02 03:04:05+00"}'),
    ("date[]", '["2026-01-02"]', "{2026-01-02}"),
    ("interval[]", '["1 day"]', '{"1 day"}'),
    ("jsonb[]", '[{"a": 1}]', '{"{\\"a\\": 1}"}'),
    ("bytea[]", '["AP8="]', '{"\\\\x00ff"}'),
    ("inet[]", '["10.0.0.1"]', "{10.0.0.1}"),
]


def is_direct(kind: str) -> bool:
    """Whether COPY may take the type right into the table."""
    return "." not in kind and not kind.startswith("interval")


Write = Callable[..., Awaitable[None]]


@pytest.fixture
async def database(postgres_uri: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    await within(postgres_uri, environment.upgrade)
    found = await asyncpg.connect(postgres_uri)
    # The user may be called sluice, as is a schema: then names would be looked up there first.
    await found.execute("SET timezone TO 'UTC'; SET search_path TO public")
    await found.execute(OWN)
    yield found
    await found.close()


@pytest.fixture
def write(postgres_uri: str) -> Write:
    async def run(sink: PostgresSink, records: list[str], *, merge: bool = True) -> None:
        await within(postgres_uri, lambda connection: target.prepare(connection, sink))
        parser = RowParser(sink)
        rows = [sessions.row(parser, record, f"r/{n}") for n, record in enumerate(records)]
        await sessions.write(postgres_uri, sink, OWNER, rows, merge=merge)

    return run


def sink(columns: dict[str, Any], **changes: Any) -> PostgresSink:
    content = {
        "secretRef": {"name": "w"},
        "table": "public.things",
        "key": ["id"],
        "columns": {"id": {"type": "bigint"}}
        | {
            name: kind if isinstance(kind, dict) else {"type": kind}
            for name, kind in columns.items()
        },
    }
    return PostgresSink.model_validate(content | changes)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("only_direct", [True, False])
async def test_a_managed_table_keeps_what_records_say_in_every_type(
    database: Any, write: Write, merge: bool, only_direct: bool
) -> None:
    taken = [value for value in VALUES if not only_direct or is_direct(value[0])]
    columns = {f"c{number}": kind for number, (kind, _, _) in enumerate(taken)}
    members = [f'"c{number}": {value}' for number, (_, value, _) in enumerate(taken)]
    empty = {"id": 2}
    await write(
        sink(columns), [f'{{"id": 1, {", ".join(members)}}}', json.dumps(empty)], merge=merge
    )
    shown = ", ".join(f"{name}::text" for name in columns)
    rows = await database.fetch(f"SELECT {shown} FROM things ORDER BY id")
    assert list(rows[0].values()) == [text for _, _, text in taken]
    assert set(rows[1].values()) == {None}
    await write(sink(columns), [])


async def test_users_tables_take_what_fits_them(database: Any, write: Write) -> None:
    await database.execute("""
        CREATE TABLE things (
          id bigint PRIMARY KEY, own_number bigint GENERATED ALWAYS AS IDENTITY,
          given_number integer GENERATED BY DEFAULT AS IDENTITY,
          name varchar(9), code char(4), mail citext, level positive, price numeric(12,4),
          at timestamptz(6), wide bigint, whole numeric, mood mood NOT NULL,
          upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
          made_at timestamptz NOT NULL DEFAULT now(), _sluice_version bigint
        )
    """)
    columns = {
        "given_number": "integer", "name": "text", "code": "text", "mail": "text",
        "level": "integer", "price": "numeric(10,2)", "at": "timestamptz(3)", "wide": "integer",
        "whole": "bigint", "mood": "public.mood",
    }  # fmt: skip
    record = {
        "id": 1, "given_number": 70, "name": "nine", "code": "ab", "mail": "A@b.c", "level": 3,
        "price": 1.5, "at": "2026-01-02T03:04:05.123Z", "wide": 5, "whole": 6, "mood": "glad",
    }  # fmt: skip
    await write(sink(columns, manage=False), [json.dumps(record)])
    await write(sink(columns, manage=False), [json.dumps(record | {"id": 2})], merge=False)
    rows = await database.fetch("SELECT id, wide, mail, level FROM things ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, 5, "A@b.c", 3), (2, 5, "A@b.c", 3)]
    await database.execute("DELETE FROM things WHERE id = 2")
    (row,) = await database.fetch("SELECT things::text FROM things WHERE mail = 'a@B.C'")
    assert row[0].startswith('(1,1,70,nine,"ab  ",A@b.c,3,1.5000,"2026-01-02 03:04:05.123+00"')
    assert ",5,6,glad,NINE," in row[0]


@pytest.mark.parametrize(
    ("columns", "record", "told"),
    [
        ({"mood": "public.mood"}, {"mood": "angry"}, "invalid input value for enum mood"),
        ({"level": "public.positive"}, {"level": -1}, "violates check constraint"),
        ({"wait": "interval"}, {"wait": "long"}, "invalid input syntax for type interval"),
    ],
)
@pytest.mark.usefixtures("database")
async def test_what_only_postgres_can_refuse_it_refuses(
    write: Write, columns: dict[str, str], record: dict[str, Any], told: str
) -> None:
    with pytest.raises((asyncpg.DataError, asyncpg.IntegrityConstraintViolationError), match=told):
        await write(sink(columns), [json.dumps({"id": 1} | record)])


async def test_rows_from_before_sluice_are_older_than_any_record(
    database: Any, write: Write
) -> None:
    await database.execute("CREATE TABLE things (id bigint PRIMARY KEY, v text)")
    await database.execute("INSERT INTO things VALUES (1, 'old'), (2, 'kept')")
    await write(sink({"v": "text"}), ['{"id": 1, "v": "new"}'])
    rows = await database.fetch("SELECT id, v, _sluice_version FROM things ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, "new", 1), (2, "kept", None)]


async def test_a_declaratively_partitioned_table_is_upserted(database: Any, write: Write) -> None:
    await database.execute("""
        CREATE TABLE things (id bigint, day date, v text, _sluice_version bigint,
          PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE things_1 PARTITION OF things FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE things_2 PARTITION OF things FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    """)
    found = sink({"day": "date", "v": "text"}, key=["id", "day"])
    for value in ("old", "new"):
        records = [{"id": 1, "day": f"2026-0{month}-01", "v": value} for month in (1, 2)]
        await write(found, [json.dumps(record) for record in records])
    rows = await database.fetch("SELECT tableoid::regclass::text, v FROM things ORDER BY 1")
    assert [tuple(row) for row in rows] == [("things_1", "new"), ("things_2", "new")]
