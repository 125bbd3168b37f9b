"""The writer on a real broker and a real Postgres, as a process that can be killed."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from integration.processes import kill, pod, write_folder
from sluice_api.names import JobName
from sluice_api.sink import PostgresSink
from sluice_api.spec import Batch, Compression
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers import failed_set, wire
from sluice_workers import kafka as clients
from sluice_workers.settings import KafkaConnection, Topic, WriterSettings
from sluice_workers.write.database import connect
from sluice_workers.write.offsets import FencedError, Owner, Position, claim
from sluice_workers.write.pool import Pool
from sluice_workers.write.session import Session

GENERATION = 7
SINK: dict[str, Any] = {
    "secretRef": {"name": "w"},
    "table": "public.users",
    "key": ["id"],
    "columns": {
        "id": {"type": "bigint"},
        "name": {"type": "text"},
        "doc": {"type": "jsonb", "path": "$"},
        "fetched_at": {"type": "timestamptz", "metadata": "FetchedAt"},
    },
}


@dataclass
class World:
    """A job's topics, database and configuration folder."""

    kafka: KafkaConnection
    job: JobName
    uri: str
    redis_url: str
    folder: Path
    settings: WriterSettings

    async def produce(self, records: range, version: Callable[[int], int]) -> None:
        producer = clients.producer(self.kafka, Compression.ZSTD)
        await producer.start()
        sent = [
            await producer.send(
                self.settings.records.name,
                key=str(number).encode(),
                value=json.dumps({"id": number, "name": f"v{version(number)}"}).encode(),
                headers=headers(str(number), version(number)),
            )
            for number in records
        ]
        await asyncio.gather(*sent)
        await producer.stop()

    async def produce_raw(self, key: bytes, value: bytes, version: int) -> None:
        producer = clients.producer(self.kafka, Compression.NONE)
        await producer.start()
        item = key.decode()
        await producer.send_and_wait(
            self.settings.records.name, key=key, value=value, headers=headers(item, version)
        )
        await producer.stop()

    async def fetch(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.uri)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def wait_for_rows(self, count: int, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while (await self.fetch("SELECT count(*) FROM users"))[0][0] < count:
                await asyncio.sleep(0.1)

    async def wait_for_offsets(self, total: int, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while (await self.offset_sum()) < total:
                await asyncio.sleep(0.1)

    async def offset_sum(self) -> int:
        rows = await self.fetch("SELECT coalesce(sum(next_offset), 0) FROM sluice.offsets")
        return int(rows[0][0])


def headers(item: str, version: int) -> list[tuple[str, bytes]]:
    return [
        (wire.ITEM, item.encode()),
        (wire.ORDINAL, b"0"),
        (wire.VERSION, str(version).encode()),
        (wire.GENERATION, str(GENERATION).encode()),
    ]


@pytest.fixture
async def world(
    kafka: KafkaConnection,
    job: JobName,
    postgres_uri: str,
    redis_url: str,
    make_topic: Any,
    tmp_path: Path,
) -> World:
    sink = PostgresSink.model_validate(SINK)

    def prepare(connection: Any) -> None:
        environment.upgrade(connection)
        target.prepare(connection, sink)

    await within(postgres_uri, prepare)
    settings = WriterSettings(
        namespace=job.namespace,
        name=job.name,
        uid=job.name,
        records=Topic(name=await make_topic("records"), generation=GENERATION),
        dead=Topic(name=await make_topic("dead"), generation=GENERATION),
        compression=Compression.ZSTD,
        sink=sink,
        batch=Batch.model_validate({"minSize": 200, "maxSize": 500, "timeout": "300ms"}),
    )
    files = {
        "settings/writer.json": settings.model_dump_json(by_alias=True),
        "kafka/bootstrapServers": kafka.bootstrap_servers,
        "redis/url": redis_url,
        "sink/uri": postgres_uri,
    }
    write_folder(tmp_path, files)
    return World(kafka, job, postgres_uri, redis_url, tmp_path, settings)


def writer(world: World) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return pod("write", world.folder)


async def assert_newest(world: World, count: int, version: int) -> None:
    rows = await world.fetch("SELECT count(*), count(DISTINCT id), min(name), max(name) FROM users")
    assert rows == [(count, count, f"v{version}", f"v{version}")]


async def test_every_record_becomes_its_row_and_the_group_follows(world: World) -> None:
    await world.produce(range(2000), lambda _: 1)
    async with writer(world):
        await world.wait_for_offsets(2000)
        await assert_newest(world, 2000, 1)
        async with asyncio.timeout(10):
            while await committed(world) < 2000:
                await asyncio.sleep(0.1)
        assert await committed(world) == 2000
    # A stopped writer has left the group and holds nothing.
    assert await world.offset_sum() == 2000


async def committed(world: World) -> int:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.kafka.bootstrap_servers, group_id=world.job.group("write"),
        enable_auto_commit=False,
    )  # fmt: skip
    await consumer.start()
    try:
        places = [TopicPartition(world.settings.records.name, p) for p in range(4)]
        return sum([await consumer.committed(place) or 0 for place in places])
    finally:
        await consumer.stop()


async def test_an_older_record_never_turns_a_row_back(world: World) -> None:
    await world.produce(range(500), lambda _: 9)
    await world.produce(range(500), lambda _: 3)
    async with writer(world):
        await world.wait_for_offsets(1000)
    await assert_newest(world, 500, 9)


async def test_killed_writers_leave_each_row_once(world: World) -> None:
    await world.produce(range(20_000), lambda _: 1)
    for _ in range(3):
        async with writer(world) as process:
            await world.wait_for_rows(1)
            before = await world.offset_sum()
            await world.wait_for_offsets(min(before + 1500, 20_000))
            await kill(process)
    async with writer(world):
        await world.wait_for_offsets(20_000)
    await assert_newest(world, 20_000, 1)
    assert await world.offset_sum() == 20_000


async def test_two_writers_share_the_partitions(world: World) -> None:
    async with writer(world), writer(world):
        await world.produce(range(10_000), lambda _: 1)
        await world.wait_for_offsets(10_000)
    await assert_newest(world, 10_000, 1)


async def test_a_stopped_writer_is_fenced_by_its_successor(world: World) -> None:
    await world.produce(range(5000), lambda _: 1)
    async with writer(world) as slow:
        await world.wait_for_rows(200)
        os.killpg(slow.pid, signal.SIGSTOP)
        async with writer(world):
            await world.wait_for_offsets(5000)
            os.killpg(slow.pid, signal.SIGCONT)
            await world.produce(range(5000, 6000), lambda _: 1)
            await world.wait_for_offsets(6000)
    await assert_newest(world, 6000, 1)


OWNER = Owner("u", "ns/j", GENERATION)


def session(world: World) -> Session:
    async def opened() -> Any:
        return await connect(world.uri, "sluice/test")

    return Session(Pool(opened), world.settings.sink, "sluice/test")


async def commit(
    found: Session, rows: list[Any], positions: dict[int, Position], ends: dict[int, int]
) -> None:
    async with found.transaction(OWNER) as transaction:
        await transaction.write(rows)
        await transaction.advance(OWNER, positions, ends)


async def test_a_transaction_of_a_former_epoch_fails_whole(world: World) -> None:
    owner = OWNER
    old = session(world)
    positions = await old.claim(owner, {0: 0, 1: 0})
    new = await asyncpg.connect(world.uri)
    assert (await claim(new, owner, {0: 0}))[0].epoch == positions[0].epoch + 1
    row = (1, "late", b"{}", None, 1)
    with pytest.raises(FencedError, match="newer owner"):
        await commit(old, [row], positions, {0: 5, 1: 5})
    assert await world.fetch("SELECT 1 FROM users") == []
    await commit(old, [row], positions, {1: 5})
    assert await world.fetch("SELECT name FROM users") == [("late",)]
    await old.close()
    await new.close()


async def test_terminated_backends_lose_and_double_nothing(world: World) -> None:
    """The answer to COMMIT may be lost: the offsets tell whether it was."""
    await world.produce(range(20_000), lambda _: 1)
    async with writer(world):
        await world.wait_for_rows(1)
        for _ in range(15):
            await world.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'sluice/%' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
        await world.wait_for_offsets(20_000)
    await assert_newest(world, 20_000, 1)


async def test_bad_records_go_to_the_dead_topic_and_the_rest_is_written(world: World) -> None:
    await world.produce(range(300), lambda _: 1)
    await world.produce_raw(b"nul", b'{"id": 301, "name": "a\\u0000b"}', 1)
    await world.produce_raw(b"text", b"no json", 1)
    await world.produce_raw(b"wrong", b'{"id": "x", "name": "y"}', 1)
    await world.produce(range(400, 500), lambda _: 1)
    async with writer(world):
        await world.wait_for_offsets(403)
    await assert_newest(world, 400, 1)
    redis = Redis.from_url(world.redis_url, decode_responses=True)
    failed = failed_set.redis_key(world.job, world.settings.dead.generation)
    assert set(await redis.hkeys(failed)) == {"nul", "text", "wrong"}
    await redis.aclose()
    dead = {item.key: item for item in await dead_items(world)}
    assert set(dead) == {"nul", "text", "wrong"}
    assert "column name" in dead["nul"].message
    assert "NUL" in dead["nul"].message
    assert dead["wrong"].reason is wire.FailureReason.INVALID_RECORD


async def dead_items(world: World) -> list[wire.DeadItem]:
    consumer = AIOKafkaConsumer(
        world.settings.dead.name,
        bootstrap_servers=world.kafka.bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        found = await consumer.getmany(timeout_ms=3000)
        return [
            wire.DeadItem.model_validate_json(message.value)
            for messages in found.values()
            for message in messages
        ]
    finally:
        await consumer.stop()


async def test_what_postgres_alone_refuses_is_found_among_the_others(world: World) -> None:
    await world.fetch("ALTER TABLE users ADD CHECK (name <> 'v13')")
    await world.produce(range(600), lambda number: 13 if number == 321 else 1)
    async with writer(world):
        await world.wait_for_offsets(600)
    await assert_newest(world, 599, 1)
    assert [item.key for item in await dead_items(world)] == ["321"]


async def test_a_missing_table_is_told_and_heals(world: World) -> None:
    await world.fetch("ALTER TABLE users RENAME TO hidden")
    await world.produce(range(100), lambda _: 1)
    async with writer(world):
        await asyncio.sleep(5)
        assert await world.offset_sum() == 0
        await world.fetch("ALTER TABLE hidden RENAME TO users")
        await world.wait_for_offsets(100)
    await assert_newest(world, 100, 1)
    assert await dead_items(world) == []
