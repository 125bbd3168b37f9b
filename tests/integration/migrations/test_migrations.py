"""Migrations on a real Postgres."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.migrations.target_tables import columns, sink
from integration.processes import write_folder
from sluice_api.errors import ConfigurationError, DependencyError
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


async def test_an_unreachable_database_is_a_dependencys_fault() -> None:
    with pytest.raises(DependencyError, match="does not answer"):
        await within("postgresql://u:secret@127.0.0.1:1/d", environment.upgrade)


@pytest.mark.parametrize("uri", ["mysql://h/d", "postgresql://u:pa/ss@h:5432/d"])
async def test_a_wrong_uri_is_told_without_repeating_it(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await within(uri, environment.upgrade)
    assert "pa" not in str(caught.value).replace("password", "")
