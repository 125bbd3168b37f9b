"""Migrations on a real Postgres."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection

from integration.processes import write_folder
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.sink import PostgresSink
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers.settings import MigrateSettings


def sink(columns: dict[str, str], **changes: Any) -> PostgresSink:
    content = {
        "secretRef": {"name": "w"},
        "table": "shop.orders",
        "key": ["id"],
        "columns": {name: {"type": kind} for name, kind in columns.items()},
    }
    return PostgresSink.model_validate(content | changes)


async def prepare(uri: str, wanted: PostgresSink) -> None:
    await within(uri, lambda connection: target.prepare(connection, wanted))


async def execute(uri: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(uri)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def columns(uri: str) -> dict[str, str]:
    def read(connection: Connection) -> dict[str, str]:
        return target.existing(connection, "shop.orders")

    return await within(uri, read)


async def test_the_newest_revision_is_what_the_models_say(postgres_uri: str) -> None:
    await within(postgres_uri, environment.upgrade)
    await within(postgres_uri, environment.check)


async def test_migrating_again_changes_nothing(postgres_uri: str) -> None:
    for _ in range(2):
        await within(postgres_uri, environment.upgrade)
    found = await execute(postgres_uri, "SELECT version_num FROM sluice.alembic_version")
    assert found == [("0001",)]


async def test_of_several_migrations_at_once_all_but_one_wait(
    postgres_uri: str, tmp_path: Path
) -> None:
    wanted = sink({"id": "bigint"})
    settings = MigrateSettings(namespace="n", name="j", uid="u", sink=wanted)
    files = {
        "settings/migrate.json": settings.model_dump_json(by_alias=True),
        "sink/uri": postgres_uri,
    }
    write_folder(tmp_path, files)
    command = [sys.executable, "-m", "sluice_cli", "migrate", "--folder", str(tmp_path)]
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert await columns(postgres_uri) == {"id": "bigint", "_sluice_version": "bigint"}


async def test_a_managed_table_is_made_and_gets_new_columns(postgres_uri: str) -> None:
    kinds = {
        "id": "bigint", "a": "text", "b": "timestamptz", "c": "timestamp", "d": "jsonb",
        "e": "text[]", "f": "double precision", "g": "numeric", "h": "uuid", "i": "boolean",
        "j": "smallint", "k": "integer", "l": "real", "m": "date", "n": "bigint[]",
        "o": "double precision[]",
    }  # fmt: skip
    await prepare(postgres_uri, sink(kinds))
    assert await columns(postgres_uri) == kinds | {"_sluice_version": "bigint"}
    await prepare(postgres_uri, sink(kinds | {"later": "text"}))
    assert "later" in await columns(postgres_uri)
    await prepare(postgres_uri, sink(kinds))
    assert "later" in await columns(postgres_uri), "nothing is ever dropped"


async def test_an_appended_table_is_known_by_its_record_ids(postgres_uri: str) -> None:
    await prepare(postgres_uri, sink({"a": "text"}, mode="Append", key=[]))
    assert await columns(postgres_uri) == {"a": "text", "_sluice_record_id": "text"}


async def test_a_table_that_does_not_fit_is_told_column_by_column(postgres_uri: str) -> None:
    await execute(postgres_uri, "CREATE SCHEMA shop")
    await execute(postgres_uri, "CREATE TABLE shop.orders (id text, name integer)")
    wanted = sink({"id": "bigint", "name": "text"}, manage=False)
    with pytest.raises(ConfigurationError) as caught:
        await prepare(postgres_uri, wanted)
    message = str(caught.value)
    assert "column id is text, wanted bigint" in message
    assert "column name is integer, wanted text" in message
    assert "column _sluice_version is missing" in message
    assert "no unique index on (id)" in message


async def test_an_existing_table_that_fits_is_taken(postgres_uri: str) -> None:
    await execute(postgres_uri, "CREATE SCHEMA shop")
    await execute(
        postgres_uri,
        "CREATE TABLE shop.orders (id bigint, name varchar(9), _sluice_version bigint, extra int)",
    )
    await execute(postgres_uri, "CREATE UNIQUE INDEX ON shop.orders (id)")
    await prepare(postgres_uri, sink({"id": "bigint", "name": "text"}, manage=False))


async def test_an_absent_table_that_is_not_managed_is_told(postgres_uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist and .*manage is false"):
        await prepare(postgres_uri, sink({"id": "bigint"}, manage=False))


async def test_an_unreachable_database_is_a_dependencys_fault() -> None:
    with pytest.raises(DependencyError, match="does not answer"):
        await within("postgresql://u:secret@127.0.0.1:1/d", environment.upgrade)


@pytest.mark.parametrize("uri", ["mysql://h/d", "postgresql://u:pa/ss@h:5432/d"])
async def test_a_wrong_uri_is_told_without_repeating_it(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await within(uri, environment.upgrade)
    assert "pa" not in str(caught.value).replace("password", "")
