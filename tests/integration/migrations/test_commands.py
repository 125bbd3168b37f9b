"""Alembic's commands as a person types them, on a real Postgres."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from integration.migrations.target_tables import columns

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "migrations"
Alembic = Callable[..., Awaitable[str]]


async def run(folder: Path, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "alembic", *arguments, cwd=folder, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def alembic(folder: Path, uri: str) -> Alembic:
    """Runs ``alembic`` in a folder; the database is named by the environment."""
    environment = {"SLUICE_DATABASE_URI": uri, "PATH": ""}
    if folder != ROOT:
        environment["PYTHONPATH"] = f"{ROOT / 'crds'}:{ROOT / 'migrations'}"

    async def call(*arguments: str, fails: bool = False) -> str:
        code, output = await run(folder, environment, *arguments)
        assert (code != 0) is fails, output
        return output

    return call


@pytest.fixture
def ours(postgres_uri: str) -> Alembic:
    return alembic(ROOT, postgres_uri)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with jobs and revisions of its own."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "migrations"))


async def test_upgrade_head_makes_the_schema(ours: Alembic, execute: Any) -> None:
    assert "Running upgrade 0001 -> 0002" in await ours("upgrade", "head")
    assert "0003 (head)" in await ours("current")
    assert "No new upgrade operations detected" in await ours("check")
    assert await execute("SELECT count(*) FROM sluice.offsets") == [(0,)]


async def test_every_revision_can_be_taken_back(ours: Alembic, execute: Any) -> None:
    await ours("upgrade", "head")
    await ours("downgrade", "base")
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'sluice'"
    assert await execute(query) == [("alembic_version",)]
    await ours("upgrade", "head")
    assert "No new upgrade operations detected" in await ours("check")


async def test_stamp_head_takes_tables_that_are_there(ours: Alembic, execute: Any) -> None:
    await ours("upgrade", "head")
    await execute("DROP TABLE sluice.alembic_version")
    assert "already exists" in await ours("upgrade", "head", fails=True)
    await ours("stamp", "head")
    assert "0003 (head)" in await ours("current")
    assert "Running" not in await ours("upgrade", "head")


async def test_stamp_purge_begins_the_history_anew(ours: Alembic, execute: Any) -> None:
    await ours("upgrade", "head")
    await execute("UPDATE sluice.alembic_version SET version_num = 'of a lost branch'")
    assert "Can't locate revision" in await ours("upgrade", "head", fails=True)
    assert "Can't locate revision" in await ours("stamp", "head", fails=True)
    await ours("stamp", "--purge", "head")
    assert "0003 (head)" in await ours("current")


async def test_the_database_may_be_an_option(postgres_uri: str, ours: Alembic) -> None:
    assert "give the database: alembic -x uri=" in (await run(ROOT, {}, "upgrade", "head"))[1]
    code, _ = await run(ROOT, {}, "-x", f"uri={postgres_uri}", "upgrade", "head")
    assert code == 0
    assert "0003 (head)" in await ours("current")


async def test_a_mistake_ends_in_a_sentence(ours: Alembic) -> None:
    wrong = alembic(ROOT, "postgresql://u:pa/ss@h/d")
    told = await wrong("upgrade", "head", fails=True)
    assert told.strip().startswith("the sink's URI cannot be read")
    assert "Traceback" not in told
    assert "--sql is not offered" in await ours("upgrade", "head", "--sql", fails=True)


async def test_people_keep_their_own_revisions(
    postgres_uri: str, project: Path, execute: Any
) -> None:
    call = alembic(project, postgres_uri)
    await call("revision", "--autogenerate", "-m", "users")
    await call("upgrade", "head")
    assert await columns(postgres_uri, "crm.users") == {
        "user_id": "bigint",
        "name": "text",
        "balance": "numeric(12,2)",
        "_sluice_version": "bigint",
    }
    assert "No new upgrade operations detected" in await call("check")

    await execute("CREATE INDEX by_name ON crm.users (name)")
    await execute("CREATE TYPE crm.mood AS ENUM ('glad')")
    job = project / "jobs" / "users.yaml"
    added = 'balance: {type: "numeric(14,2)"}\n        mood: {type: crm.mood}'
    job.write_text(job.read_text().replace('balance: {type: "numeric(12,2)"}', added))
    assert "New upgrade operations detected" in await call("check", fails=True)
    await call("revision", "--autogenerate", "-m", "mood")
    await call("upgrade", "head")
    assert "No new upgrade operations detected" in await call("check")
    found = await columns(postgres_uri, "crm.users")
    assert (found["mood"], found["balance"]) == ("crm.mood", "numeric(14,2)")
    assert await execute("SELECT to_regclass('crm.by_name') IS NOT NULL") == [(True,)]
    await call("downgrade", "-1")
    assert "mood" not in await columns(postgres_uri, "crm.users")


async def test_both_histories_live_in_one_database(
    postgres_uri: str, ours: Alembic, project: Path
) -> None:
    call = alembic(project, postgres_uri)
    await ours("upgrade", "head")
    await call("revision", "--autogenerate", "-m", "users", "--rev-id", "a1")
    await call("upgrade", "head")
    assert "0003 (head)" in await ours("current")
    assert "a1 (head)" in await call("current")
    assert "No new upgrade operations detected" in await ours("check")


async def test_stamp_head_takes_a_persons_tables_that_are_there(
    postgres_uri: str, project: Path, execute: Any
) -> None:
    call = alembic(project, postgres_uri)
    await execute("CREATE SCHEMA crm")
    await execute(
        "CREATE TABLE crm.users (user_id bigint PRIMARY KEY, name text, balance numeric(12,2),"
        " _sluice_version bigint NOT NULL)"
    )
    await call("revision", "-m", "what was there", "--rev-id", "a1")
    await call("stamp", "head")
    assert "No new upgrade operations detected" in await call("check")


async def test_a_wrong_job_is_told_with_its_file(postgres_uri: str, project: Path) -> None:
    call = alembic(project, postgres_uri)
    job = project / "jobs" / "users.yaml"
    job.write_text(job.read_text().replace("type: text", "type: string"))
    told = await call("check", fails=True)
    assert "users.yaml: spec.sink.postgres: columns.name.type" in told
    assert "must be text, varchar" in told
    job.unlink()
    assert "no file matches" in await call("check", fails=True)
