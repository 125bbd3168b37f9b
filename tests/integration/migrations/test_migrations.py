"""Migrations on a real Postgres."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from integration.migrations.target_tables import columns, sink
from integration.processes import write_folder
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.sink import PostgresSink
from sluice_migrations import environment
from sluice_migrations.database import within
from sluice_workers.settings import MigrateSettings


async def test_the_newest_revision_is_what_the_models_say(postgres_uri: str) -> None:
    await within(postgres_uri, environment.upgrade)
    await within(postgres_uri, environment.check)


async def test_migrating_again_changes_nothing(postgres_uri: str, execute: Any) -> None:
    for _ in range(2):
        await within(postgres_uri, environment.upgrade)
    found = await execute("SELECT version_num FROM sluice.alembic_version")
    assert found == [("0003",)]


async def migrating(folder: Path, *more: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "sluice_cli", "migrate", "--folder", str(folder), *more]
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)


def configured(folder: Path, uri: str, wanted: PostgresSink) -> Path:
    settings = MigrateSettings(namespace="n", name="j", uid="u", sink=wanted)
    files = {"settings/migrate.json": settings.model_dump_json(by_alias=True), "sink/uri": uri}
    write_folder(folder, files)
    return folder


async def test_of_several_migrations_at_once_all_but_one_wait(
    postgres_uri: str, tmp_path: Path, execute: Any
) -> None:
    folder = configured(tmp_path, postgres_uri, sink({"id": "bigint"}))
    holder = await asyncpg.connect(postgres_uri)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("SELECT pg_advisory_xact_lock($1)", environment.LOCK)
    processes = [await migrating(folder) for _ in range(2)]
    waiting = (
        "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with asyncio.timeout(60):
        while await execute(waiting) != [(2,)]:
            await asyncio.sleep(0.1)
    assert await execute("SELECT to_regnamespace('sluice')::text") == [(None,)]
    await transaction.rollback()
    await holder.close()
    assert [await process.wait() for process in processes] == [0, 0]
    assert await columns(postgres_uri) == {"id": "bigint", "_sluice_version": "bigint"}


async def test_a_table_in_use_is_waited_for(
    postgres_uri: str, tmp_path: Path, execute: Any
) -> None:
    await (await migrating(configured(tmp_path, postgres_uri, sink({"id": "bigint"})))).wait()
    reader = await asyncpg.connect(postgres_uri)
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("SELECT * FROM shop.orders")
    folder = configured(tmp_path, postgres_uri, sink({"id": "bigint", "a": "text"}))
    process = await migrating(folder)
    await asyncio.sleep(5)
    assert process.returncode is None
    # Nobody else waits behind it for long: it lets go after two seconds, and tries again.
    async with asyncio.timeout(10):
        await execute("SELECT * FROM shop.orders")
    await transaction.rollback()
    await reader.close()
    assert await process.wait() == 0
    assert "a" in await columns(postgres_uri)


async def test_a_jobs_own_revisions_make_its_table(postgres_uri: str, tmp_path: Path) -> None:
    wanted = sink({"id": "bigint"}, manage=False, migrations={"image": "mine:1"})
    folder = configured(tmp_path, postgres_uri, wanted)
    revisions = tmp_path / "own"
    process = await migrating(folder, "--revisions", str(revisions))
    _, told = await process.communicate()
    assert process.returncode == 1
    assert f"no folder {revisions / 'versions'}" in told.decode()

    write_folder(revisions / "versions", {"a1.py": REVISION})
    for _ in range(2):
        process = await migrating(folder, "--revisions", str(revisions))
        assert await process.wait() == 0
    assert await columns(postgres_uri) == {"id": "bigint", "_sluice_version": "bigint"}

    more = sink({"id": "bigint", "b": "text"}, manage=False, migrations={"image": "mine:1"})
    process = await migrating(
        configured(tmp_path, postgres_uri, more), "--revisions", str(revisions)
    )
    _, told = await process.communicate()
    assert "column b is missing, wanted text" in told.decode()


REVISION = """
from alembic import op

revision, down_revision = "a1", None


def upgrade() -> None:
    op.execute("CREATE SCHEMA shop")
    op.execute("CREATE TABLE shop.orders (id bigint PRIMARY KEY, _sluice_version bigint)")
"""


async def test_an_unreachable_database_is_a_dependencys_fault() -> None:
    with pytest.raises(DependencyError, match="does not answer"):
        await within("postgresql://u:secret@127.0.0.1:1/d", environment.upgrade)


@pytest.mark.parametrize("uri", ["mysql://h/d", "postgresql://u:pa/ss@h:5432/d"])
async def test_a_wrong_uri_is_told_without_repeating_it(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await within(uri, environment.upgrade)
    assert "pa" not in str(caught.value).replace("password", "")
