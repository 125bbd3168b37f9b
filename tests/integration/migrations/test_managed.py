"""A managed table is made, and follows its job; nothing is lost that the job does not name."""

import asyncio
from typing import Any

import asyncpg
import pytest

from integration.migrations.target_tables import columns, prepare, sink
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_migrations import evolve

VERSION = {"_sluice_version": "bigint"}
KINDS = {
    "id": "bigint", "a": "text", "b": "timestamptz", "c": "timestamp(3)", "d": "jsonb",
    "e": "text[]", "f": "double precision", "g": "numeric(10,2)", "h": "uuid", "i": "boolean",
    "j": "smallint", "k": "integer", "l": "real", "m": "date", "n": "numeric[]", "o": "varchar(9)",
    "p": "char(3)", "q": "time", "r": "interval", "s": "bytea", "t": "inet", "u": "json",
    "v": "cidr", "w": "timestamptz[]", "x": "varchar", "y": "numeric",
}  # fmt: skip


@pytest.mark.parametrize("table", ["shop.orders", "public.orders"])
async def test_a_managed_table_is_made_and_gets_new_columns(postgres_uri: str, table: str) -> None:
    await prepare(postgres_uri, sink(KINDS, table=table))
    made = KINDS | VERSION
    assert await columns(postgres_uri, table) == made
    await prepare(postgres_uri, sink(KINDS | {"later": "text"}, table=table))
    assert await columns(postgres_uri, table) == made | {"later": "text"}
    await prepare(postgres_uri, sink(KINDS, table=table))
    assert await columns(postgres_uri, table) == made | {"later": "text"}, "nothing is dropped"


async def test_a_table_that_is_as_wanted_is_not_touched(postgres_uri: str, execute: Any) -> None:
    await prepare(postgres_uri, sink(KINDS))
    query = "SELECT xmin::text FROM pg_class WHERE oid = 'shop.orders'::regclass"
    before = await execute(query)
    await prepare(postgres_uri, sink(KINDS))
    assert await execute(query) == before


async def test_an_appended_table_is_known_by_its_record_ids(postgres_uri: str) -> None:
    await prepare(postgres_uri, sink({"a": "text"}, mode="Append", key=[]))
    assert await columns(postgres_uri) == {"a": "text", "_sluice_record_id": "text"}
    apart = {"mode": "Append", "key": [], "recordIds": "Apart", "table": "shop.apart"}
    await prepare(postgres_uri, sink({"a": "text"}, **apart))
    assert await columns(postgres_uri, "shop.apart") == {"a": "text"}


async def test_a_column_of_a_type_of_the_users_own(postgres_uri: str, execute: Any) -> None:
    await execute("CREATE TYPE mood AS ENUM ('glad')")
    kinds = {"id": "bigint", "m": "public.mood", "ms": "public.mood[]"}
    for _ in range(2):
        await prepare(postgres_uri, sink(kinds))
    assert await columns(postgres_uri) == kinds | VERSION


async def test_only_a_column_that_is_named_is_narrowed(postgres_uri: str, execute: Any) -> None:
    await prepare(postgres_uri, sink({"id": "bigint", "c": "bigint", "d": "text"}))
    await execute("INSERT INTO shop.orders VALUES (1, 5, '7', 1)")
    narrow = {"id": "bigint", "c": "integer"}
    await prepare(postgres_uri, sink(narrow))
    assert (await columns(postgres_uri))["c"] == "bigint", "a wider column fits"
    await prepare(postgres_uri, sink(narrow, migrations={"narrow": ["c"]}))
    assert (await columns(postgres_uri))["c"] == "integer"

    numbers = {"id": "bigint", "d": "integer"}
    with pytest.raises(
        ConfigurationError, match=r"column d is text, wanted integer: name it in .*narrow"
    ):
        await prepare(postgres_uri, sink(numbers))
    await prepare(postgres_uri, sink(numbers, migrations={"narrow": ["d"]}))
    assert await execute("SELECT d FROM shop.orders") == [(7,)]


async def test_a_value_that_cannot_be_narrowed_changes_nothing(
    postgres_uri: str, execute: Any
) -> None:
    await prepare(postgres_uri, sink({"id": "bigint", "c": "bigint"}))
    await execute("INSERT INTO shop.orders VALUES (1, 5000000000, 1)")
    wanted = sink({"id": "bigint", "c": "integer", "e": "text"}, migrations={"narrow": ["c"]})
    with pytest.raises(ConfigurationError, match="integer out of range"):
        await prepare(postgres_uri, wanted)
    assert await columns(postgres_uri) == {"id": "bigint", "c": "bigint"} | VERSION


async def test_only_a_column_that_is_named_is_dropped(postgres_uri: str) -> None:
    await prepare(postgres_uri, sink({"id": "bigint", "c": "text", "d": "text"}))
    wanted = sink({"id": "bigint"}, migrations={"drop": ["c", "never_was"]})
    for _ in range(2):
        await prepare(postgres_uri, wanted)
        assert await columns(postgres_uri) == {"id": "bigint", "d": "text"} | VERSION


async def test_a_forgotten_column_refuses_no_rows(postgres_uri: str, execute: Any) -> None:
    required = {"type": "text", "nullable": False}
    await prepare(postgres_uri, sink({"id": "bigint", "c": required, "d": required}))
    await prepare(postgres_uri, sink({"id": "bigint", "d": "text"}))
    await execute("INSERT INTO shop.orders (id, _sluice_version) VALUES (1, 1)")


async def test_what_people_added_stays(postgres_uri: str, execute: Any) -> None:
    await prepare(postgres_uri, sink({"id": "bigint", "c": "text"}))
    for statement in (
        "CREATE INDEX by_c ON shop.orders (c)",
        "ALTER TABLE shop.orders ADD CONSTRAINT short CHECK (length(c) < 9)",
        "COMMENT ON COLUMN shop.orders.c IS 'said by people'",
        "ALTER TABLE shop.orders ALTER COLUMN c SET DEFAULT 'x'",
        "CREATE TABLE shop.others (id bigint)",
    ):
        await execute(statement)
    await prepare(postgres_uri, sink({"id": "bigint", "c": "text", "d": "text"}))
    found = await execute("""
        SELECT to_regclass('shop.by_c') IS NOT NULL, to_regclass('shop.others') IS NOT NULL,
          col_description('shop.orders'::regclass, 2),
          (SELECT count(*) FROM pg_constraint WHERE conname = 'short'),
          (SELECT count(*) FROM pg_attrdef WHERE adrelid = 'shop.orders'::regclass)
    """)
    assert found == [(True, True, "said by people", 1, 1)]


async def test_a_large_table_is_not_written_anew_unasked(
    postgres_uri: str, execute: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evolve, "REWRITTEN", 1000)
    await prepare(postgres_uri, sink({"id": "bigint", "c": "integer", "d": "varchar(9)"}))
    await execute("INSERT INTO shop.orders VALUES (1, 5, 'x', 1)")
    with pytest.raises(ConfigurationError, match=r"ALTER TABLE shop\.orders ALTER COLUMN c TYPE"):
        await prepare(postgres_uri, sink({"id": "bigint", "c": "bigint"}))
    await prepare(postgres_uri, sink({"id": "bigint", "d": "text"}))
    assert (await columns(postgres_uri))["d"] == "text"


async def test_types_are_widened_unasked_and_rewritten_only_where_we_say(
    postgres_uri: str, execute: Any
) -> None:
    await execute("CREATE SCHEMA shop")
    for number, (before, after, value) in enumerate(WIDER):
        table = f"shop.t{number}"
        await prepare(postgres_uri, sink({"id": "bigint", "c": before}, table=table))
        await execute(f"INSERT INTO {table} VALUES (1, '{value}', 1)")
        found = await execute(_STATE.format(table=table))
        await prepare(postgres_uri, sink({"id": "bigint", "c": after}, table=table))
        assert (await columns(postgres_uri, table))["c"] == after
        ((shown, file),) = found
        ((shown_then, file_then),) = await execute(_STATE.format(table=table))
        assert shown_then == shown
        narrow, wide = (sink({"id": kind}).columns["id"].type.parts for kind in (before, after))
        assert (file_then != file) is evolve.rewrites(narrow, wide), (before, after)


_STATE = "SELECT c::text, pg_relation_filenode('{table}') FROM {table}"
WIDER = [
    ("varchar(9)", "varchar(20)", "x"), ("varchar(9)", "text", "x"), ("varchar", "text", "x"),
    ("char(3)", "text", "abc"), ("smallint", "integer", "1"), ("integer", "bigint", "1"),
    ("bigint", "numeric", "1"), ("integer", "text", "1"), ("real", "double precision", "0.5"),
    ("numeric(10,2)", "numeric(12,2)", "1.5"), ("numeric(10,2)", "numeric", "1.5"),
    ("timestamptz(3)", "timestamptz", "2026-01-01"), ("time(0)", "time(3)", "12:00"),
    ("cidr", "inet", "10.0.0.0/8"), ("jsonb", "json", "{}"), ("integer[]", "bigint[]", "{1}"),
]  # fmt: skip


async def test_a_table_in_use_is_asked_for_again(postgres_uri: str) -> None:
    await prepare(postgres_uri, sink({"id": "bigint"}))
    reader = await asyncpg.connect(postgres_uri)
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("LOCK TABLE shop.orders IN ACCESS SHARE MODE")
    async with asyncio.timeout(10):
        with pytest.raises(DependencyError, match="lock timeout") as caught:
            await prepare(postgres_uri, sink({"id": "bigint", "c": "text"}))
    assert caught.value.reason == "TableInUse"
    await prepare(postgres_uri, sink({"id": "bigint"}))
    await transaction.rollback()
    await reader.close()
