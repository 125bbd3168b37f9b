"""An archive replayed into a topic, and from there into a real Postgres by the real writer."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from integration.archive.s3_server import ACCESS, SECRET
from integration.archive.world import GENERATION, PREFIX, World
from integration.processes import pod, write_folder
from sluice_api.errors import DependencyError
from sluice_api.sink import PostgresSink
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers.archive import replay as replays
from sluice_workers.settings import ReplaySettings, WriterSettings

COLUMNS = {
    "id": {"type": "bigint"},
    "name": {"type": "text"},
    "item": {"type": "text", "metadata": "ItemId"},
    "doc": {"type": "jsonb", "path": "$"},
    "fetched_at": {"type": "timestamptz", "metadata": "FetchedAt"},
}
UPSERT = {"secretRef": {"name": "w"}, "table": "public.users", "key": ["id"], "columns": COLUMNS}
APPEND = {"secretRef": {"name": "w"}, "table": "public.users", "mode": "Append", "columns": COLUMNS}
ROWS = "SELECT * FROM users ORDER BY id"


class Target:
    """Another job: a topic, a database, a replay into the one and a writer into the other."""

    def __init__(
        self, world: World, topic: str, dead: str, redis: str, uri: str, folder: Path
    ) -> None:
        self.world, self.topic, self.dead, self.redis = world, topic, dead, redis
        self.uri, self.folder, self.generation = uri, folder, GENERATION + 1

    async def prepare(self, sink: dict[str, Any], topic: str | None = None) -> None:
        """Make the table, and the configuration of a writer that reads ``topic``."""
        model = PostgresSink.model_validate(sink)

        def migrate(connection: Any) -> None:
            environment.upgrade(connection)
            target.prepare(connection, model)

        await within(self.uri, migrate)
        generation = self.generation if topic is None else GENERATION
        settings = WriterSettings.model_validate(
            {
                **self._job("target" if topic is None else "origin"),
                "records": {"name": topic or self.topic, "generation": generation},
                "dead": {"name": self.dead, "generation": generation},
                "compression": "zstd",
                "sink": sink,
                "batch": {"minSize": 200, "maxSize": 500, "timeout": "300ms"},
            }
        )
        write_folder(
            self.folder,
            {
                "settings/writer.json": settings.model_dump_json(by_alias=True),
                "kafka/bootstrapServers": self.world.kafka.bootstrap_servers,
                "redis/url": self.redis,
                "sink/uri": self.uri,
            },
        )

    def _job(self, suffix: str) -> dict[str, str]:
        job = self.world.job
        return {"namespace": job.namespace, "name": f"{job.name}-{suffix}", "uid": suffix}

    async def replay(self, **changes: Any) -> tuple[int, str]:
        """Run ``sluice replay``; return its exit code and what it said."""
        self.ask(**changes)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sluice_cli", "replay", "--folder", self.folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, said.decode()

    def ask(self, **changes: Any) -> None:
        """Make the configuration of a replay."""
        s3 = {
            "bucket": self.world.server.bucket.name,
            "prefix": PREFIX,
            "endpoint": self.world.server.endpoint,
            "secretRef": {"name": "bucket"},
        }
        settings = ReplaySettings.model_validate(
            {
                **self._job("target"),
                "archive": {"s3": s3, "job": self.world.job.name} | changes,
                "records": {"name": self.topic, "generation": self.generation},
                "compression": "zstd",
            }
        )
        files = {
            "settings/replay.json": settings.model_dump_json(by_alias=True),
            "archive/accessKeyId": ACCESS,
            "archive/secretAccessKey": SECRET,
        }
        write_folder(self.folder, files)

    async def write(self, total: int) -> None:
        """Run a writer until the offsets it has committed come to ``total``; none is given up."""
        async with pod("write", self.folder), asyncio.timeout(60):
            while await self.written() < total:
                await asyncio.sleep(0.2)
        client = Redis.from_url(self.redis, decode_responses=True)
        given_up = [key async for key in client.scan_iter(f"sluice:{{{self.world.job}-*:failed")]
        await client.aclose()
        assert given_up == []

    async def written(self) -> int:
        query = "SELECT coalesce(sum(next_offset), 0) FROM sluice.offsets"
        return int((await self.fetch(query))[0][0])

    async def fetch(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.uri)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()


@pytest.fixture
async def another(
    world: World, make_topic: Any, redis_url: str, postgres_uri: str, tmp_path: Path
) -> Target:
    folder = tmp_path / "target"
    folder.mkdir()
    topics = [await make_topic(name, count) for name, count in (("replayed", 3), ("dead", 1))]
    return Target(world, *topics, redis_url, postgres_uri, folder)


async def archived(world: World, total: int) -> None:
    async with world.archiver():
        await world.wait_for(total)


async def replayed(another: Target, **changes: Any) -> None:
    code, said = await another.replay(**changes)
    assert code == 0, said


async def test_a_replay_into_an_empty_table_gives_the_same_rows(
    world: World, another: Target
) -> None:
    """The topic that is replayed into has another number of partitions."""
    await world.produce(range(1000), version=3)
    await world.produce(range(1500), version=4)
    await archived(world, 2500)
    await another.prepare(UPSERT, world.topic)
    await another.write(2500)
    rows = await another.fetch(ROWS)
    assert len(rows) == 1500
    await another.fetch("DROP TABLE users")
    await another.fetch("DELETE FROM sluice.offsets")
    await another.prepare(UPSERT)
    await replayed(another)
    await another.write(2500)
    assert await another.fetch(ROWS) == rows


async def test_a_replay_turns_no_row_back(world: World, another: Target) -> None:
    await world.produce(range(300), version=3)
    await archived(world, 300)
    await world.produce(range(200), version=9)
    await another.prepare(UPSERT, world.topic)
    await another.write(500)
    rows = await another.fetch(ROWS)
    assert {row[1] for row in rows[:200]} == {"v9"}
    assert {row[1] for row in rows[200:]} == {"v3"}
    await another.prepare(UPSERT)
    await replayed(another)
    await another.write(800)
    assert await another.fetch(ROWS) == rows


async def test_a_replay_doubles_no_row_of_append(world: World, another: Target) -> None:
    await world.produce(range(300))
    await archived(world, 300)
    await another.prepare(APPEND, world.topic)
    await another.write(300)
    await another.prepare(APPEND)
    await replayed(another)
    await replayed(another)
    await another.write(900)
    assert await another.fetch("SELECT count(*), count(DISTINCT id) FROM users") == [(300, 300)]


async def test_a_part_of_an_archive_is_replayed(world: World, another: Target) -> None:
    await world.produce(range(1000))
    await archived(world, 1000)
    ends = await world.committed()
    await another.prepare(UPSERT)
    await replayed(another, partitions=[2])
    await another.write(ends[2])
    assert len(await another.fetch(ROWS)) == ends[2]
    start = "2025-11-24T16:00:00"
    await replayed(another, run="abc-1", since=f"{start}.100Z", until=f"{start}.150Z")
    await another.write(ends[2] + 50)
    found = {row[0] for row in await another.fetch(ROWS)}
    assert found >= set(range(100, 150))
    assert len(found) < ends[2] + 50


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"job": "nobody"}, "there is no run at all of job test/nobody in bucket raw-records"),
        ({"run": "abc-2"}, "there is no run abc-2 of job"),
        ({"namespace": "elsewhere"}, "there is no run at all of job elsewhere/"),
    ],
)
async def test_what_is_not_there_is_told(
    world: World, another: Target, changes: dict[str, Any], sentence: str
) -> None:
    await world.produce(range(10))
    await archived(world, 10)
    await another.prepare(UPSERT)
    code, said = await another.replay(**changes)
    assert code == 1
    assert sentence in said.splitlines()[-1]


async def test_an_archive_that_is_not_whole_is_refused(world: World, another: Target) -> None:
    await world.produce(range(3000))
    await archived(world, 3000)
    await another.prepare(UPSERT)
    entries = max(world.manifest().values(), key=len)
    assert len(entries) > 2
    middle = world.server.bucket / PREFIX / entries[1].object
    content = middle.read_bytes()
    middle.write_bytes(content + b"x")
    _, said = await another.replay()
    assert f"{entries[1].object} has SHA-256" in said.splitlines()[-1]
    middle.unlink()
    _, said = await another.replay()
    assert f"{entries[1].object} is in the manifest and not in the bucket" in said.splitlines()[-1]
    (part,) = (
        (world.server.bucket / PREFIX / entries[0].object)
        .parents[3]
        .glob(f"manifest/*/{int(entries[0].object.split('/')[-2]):05d}/*.json")
    )
    manifest = json.loads(part.read_text())
    del manifest["objects"][1]
    part.write_text(json.dumps(manifest))
    _, said = await another.replay()
    assert "the archive is not whole: a gap between" in said.splitlines()[-1]


async def test_a_server_that_does_not_answer_is_told(
    world: World, another: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "PATIENCE", 2.0)
    await another.prepare(UPSERT)
    another.ask()
    world.server.stop()
    with pytest.raises(DependencyError, match=r"the archive's server http://127\.0\.0\.1") as told:
        await replays.replay(another.folder)
    assert told.value.reason == "ArchiveUnreachable"


async def test_a_server_that_answers_after_a_while_is_waited_for(
    world: World, another: Target
) -> None:
    await world.produce(range(500))
    await archived(world, 500)
    await another.prepare(UPSERT)
    world.server.stop()
    replaying = asyncio.create_task(another.replay())
    await asyncio.sleep(5)
    assert not replaying.done()
    world.server.start()
    code, said = await replaying
    assert code == 0, said
    assert "ArchiveUnreachable" in said
    await another.write(500)


async def test_keys_that_are_refused_are_no_matter_of_time(another: Target) -> None:
    await another.prepare(UPSERT)
    another.ask()
    (another.folder / "archive" / "secretAccessKey").write_text("wrong")
    with pytest.raises(DependencyError) as told:
        async with asyncio.timeout(20):
            await replays.replay(another.folder)
    assert told.value.reason == "ArchiveForbidden"
