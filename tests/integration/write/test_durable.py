"""The durable buffer on real parts: appended at once, merged once, whatever happens between."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from integration.fetch.servers import own_redis
from integration.processes import free_port, kill, pod, write_folder
from integration.write.test_broken_target import BROKEN, execute, wait_for_trouble
from integration.write.test_writer import (
    World,
    assert_newest,
    committed,
    dead_items,
    world,
    writer,
)
from sluice_api.sink import PostgresSink
from sluice_api.spec import Compression
from sluice_migrations import target
from sluice_migrations.database import within
from sluice_operator.sink import Database, forget
from sluice_workers import failures, redis_client
from sluice_workers.producer import Producer
from sluice_workers.settings import WriterSettings
from sluice_workers.write.database import connect
from sluice_workers.write.merger import Consumed, Merger
from sluice_workers.write.pool import Pool
from sluice_workers.write.session import Session
from sluice_workers.write.turns import Turns

__all__ = ["world"]


def settings(world: World, **durable: Any) -> WriterSettings:
    given = world.settings.sink.model_dump(by_alias=True, exclude_none=True)
    sink = PostgresSink.model_validate(given | {"buffer": "Durable", "durable": durable})
    return world.settings.model_copy(update={"sink": sink})


def configure(world: World, **durable: Any) -> World:
    """Give the job's writers a durable buffer."""
    found = settings(world, **durable)
    write_folder(world.folder, {"settings/writer.json": found.model_dump_json(by_alias=True)})
    return replace(world, settings=found)


@pytest.fixture
def durable(world: World) -> World:
    return configure(world)


async def buffered(world: World) -> int:
    rows = await world.fetch("SELECT coalesce(sum(records), 0)::int FROM sluice.buffer")
    return int(rows[0][0])


async def wait_until_merged(world: World, total: int, seconds: float = 60) -> None:
    """Wait until all records are appended and none is buffered."""
    await world.wait_for_offsets(total, seconds)
    async with asyncio.timeout(seconds):
        while await buffered(world):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def locked(world: World) -> AsyncIterator[None]:
    """Somebody else holds the table."""
    connection = await asyncpg.connect(world.uri)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def test_records_are_merged_and_the_group_follows_the_table(durable: World) -> None:
    await durable.produce(range(2000), lambda _: 1)
    async with writer(durable):
        await wait_until_merged(durable, 2000)
        await assert_newest(durable, 2000, 1)
        async with asyncio.timeout(10):
            while await committed(durable) < 2000:
                await asyncio.sleep(0.1)


async def test_offsets_pass_while_the_table_is_locked_and_lag_remains(durable: World) -> None:
    await durable.produce(range(2000), lambda _: 1)
    async with writer(durable):
        async with locked(durable):
            await durable.wait_for_offsets(2000)
            assert await buffered(durable) == 2000
            await asyncio.sleep(2.5)
            assert await committed(durable) == 0
        await wait_until_merged(durable, 2000)
    await assert_newest(durable, 2000, 1)


async def test_an_older_record_never_turns_a_row_back(durable: World) -> None:
    await durable.produce(range(500), lambda _: 9)
    await durable.produce(range(500), lambda _: 3)
    async with writer(durable):
        await wait_until_merged(durable, 1000)
    await assert_newest(durable, 500, 9)


APPLIED = """
CREATE TABLE applied (id bigint, seconds float);
CREATE FUNCTION apply() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO applied VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER apply AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION apply();
CREATE FUNCTION tarry() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_sleep(TG_ARGV[0]::float); RETURN NULL; END $$;
"""
"""A history of what was written, within the transaction that did, and a way to be slow."""


async def watch(world: World, seconds: float) -> None:
    """Keep the history, and let each merge take so many seconds."""
    await execute(world, APPLIED)
    await execute(
        world,
        "CREATE TRIGGER tarry AFTER INSERT ON users"
        f" FOR EACH STATEMENT EXECUTE FUNCTION tarry('{seconds}')",
    )


async def assert_once(world: World, count: int) -> None:
    rows = await world.fetch("SELECT count(*), count(DISTINCT id) FROM applied")
    assert rows == [(count, count)]


async def test_mergers_that_are_killed_double_and_lose_nothing(durable: World) -> None:
    await watch(durable, 0.2)
    await durable.produce(range(10_000), lambda _: 1)
    for _ in range(4):
        async with writer(durable) as process:
            before = (await durable.fetch("SELECT count(*) FROM applied"))[0][0]
            async with asyncio.timeout(60):
                while (await durable.fetch("SELECT count(*) FROM applied"))[0][0] == before:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
            await kill(process)
    async with writer(durable):
        await wait_until_merged(durable, 10_000)
    await assert_newest(durable, 10_000, 1)
    await assert_once(durable, 10_000)


async def test_a_frozen_merger_is_passed_and_cannot_come_back(durable: World) -> None:
    await watch(durable, 0.3)
    await durable.produce(range(5000), lambda _: 1)
    async with writer(durable) as slow:
        await durable.wait_for_rows(200)
        os.killpg(slow.pid, signal.SIGSTOP)
        async with writer(durable):
            await wait_until_merged(durable, 5000)
            os.killpg(slow.pid, signal.SIGCONT)
            await durable.produce(range(5000, 6000), lambda _: 1)
            await wait_until_merged(durable, 6000)
    await assert_newest(durable, 6000, 1)
    await assert_once(durable, 6000)


@pytest.mark.parametrize("shared", [False, True])
async def test_mergers_of_the_same_slices_merge_each_chunk_once(
    world: World, redis_url: str, shared: bool
) -> None:
    """All think that all partitions are theirs, as around a rebalance."""
    found = configure(world)
    await watch(found, 0.02)
    await found.produce(range(5000), lambda _: 1)
    async with locked(found), writer(found):
        await found.wait_for_offsets(5000)
    redis = redis_client.connect(redis_url)
    producer = Producer(found.kafka, Compression.NONE)
    given_up = failures.Failures(redis, producer, found.settings.dead, found.job)
    mergers = [merger(found, given_up) for _ in range(3)]
    if shared:
        for each in mergers:
            each.turn = Turns(redis, found.uri, "public.users").turn
    running = [asyncio.create_task(each.run()) for each in mergers]
    await wait_until_merged(found, 5000)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    await producer.close()
    await redis.aclose()
    await assert_newest(found, 5000, 1)
    await assert_once(found, 5000)


def merger(world: World, given_up: failures.Failures) -> Merger:
    async def opened() -> Any:
        return await connect(world.uri, "sluice/test")

    def session() -> Session:
        return Session(Pool(opened), world.settings.sink, "sluice/test")

    consumed = Consumed(range(4), {})
    return Merger(world.settings, session, given_up, lambda: consumed, lambda _, __: None)


async def test_without_redis_mergers_go_on_without_turns(world: World) -> None:
    found = configure(world, shared=True)
    await watch(found, 0.05)
    with own_redis() as redis:
        write_folder(found.folder, {"redis/url": redis.url})
        await found.produce(range(5000), lambda _: 1)
        async with writer(found), writer(found):
            await found.wait_for_rows(500)
            redis.kill()
            await wait_until_merged(found, 5000)
    await assert_newest(found, 5000, 1)
    await assert_once(found, 5000)


async def test_poison_is_found_by_the_merger_and_the_rest_is_merged(durable: World) -> None:
    await durable.fetch("ALTER TABLE users ADD CONSTRAINT lucky CHECK (name <> 'v13')")
    await durable.produce(range(600), lambda number: 13 if number == 321 else 1)
    await durable.produce_raw(b"nul", b'{"id": 601, "name": "a\\u0000b"}', 1)
    await durable.produce_raw(b"text", b"no json", 1)
    async with writer(durable):
        await wait_until_merged(durable, 602)
    await assert_newest(durable, 599, 1)
    dead = {item.key: item for item in await dead_items(durable)}
    assert set(dead) == {"321", "nul", "text"}
    assert "lucky" in dead["321"].message
    assert "column name" in dead["nul"].message
    assert dead["text"].value == "no json"
    assert dead["321"].item == "321"


@pytest.mark.parametrize("reason", ["TableMismatch", "DiskFull"])
async def test_a_broken_target_is_told_while_the_buffer_takes_records(
    durable: World, reason: str
) -> None:
    broken, healed = BROKEN[reason]
    port = free_port()
    await execute(durable, broken)
    await durable.produce(range(100), lambda _: 1)
    async with pod("write", durable.folder, port=port):
        await wait_for_trouble(port, reason)
        await durable.wait_for_offsets(100)
        assert await buffered(durable) == 100
        await execute(durable, healed)
        await wait_until_merged(durable, 100)
    await assert_newest(durable, 100, 1)
    assert await dead_items(durable) == []


async def test_writers_wait_for_mergers_when_the_buffer_is_full(world: World) -> None:
    found = configure(world, maxRecords=1000)
    port = free_port()
    await found.produce(range(5000), lambda _: 1)
    async with pod("write", found.folder, port=port):
        async with locked(found):
            await wait_for_trouble(port, "BufferFull")
            await asyncio.sleep(2)
            # At most one batch more than the bound.
            assert 1000 <= await buffered(found) == await found.offset_sum() <= 1500
        await wait_until_merged(found, 5000)
    await assert_newest(found, 5000, 1)


async def test_columns_may_change_while_records_are_buffered(durable: World) -> None:
    await durable.produce(range(500), lambda _: 1)
    async with locked(durable), writer(durable):
        await durable.wait_for_offsets(500)
    await execute(durable, "ALTER TABLE users ADD COLUMN again text, DROP COLUMN fetched_at")
    given = durable.settings.sink.model_dump(by_alias=True, exclude_none=True)
    del given["columns"]["fetched_at"]
    given["columns"]["again"] = {"type": "text", "path": "$.name"}
    sink = PostgresSink.model_validate(given)
    changed = durable.settings.model_copy(update={"sink": sink})
    files = {"settings/writer.json": changed.model_dump_json(by_alias=True)}
    write_folder(durable.folder, files)
    async with writer(durable):
        await wait_until_merged(durable, 500)
    assert await durable.fetch("SELECT count(*) FROM users WHERE again = 'v1'") == [(500,)]


AGAIN = """
CREATE SEQUENCE tries;
CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF nextval('tries') <= 2 THEN RAISE 'chosen' USING ERRCODE = '40P01'; END IF;
    RETURN NULL;
  END $$;
CREATE TRIGGER deadlock AFTER INSERT ON users FOR EACH STATEMENT EXECUTE FUNCTION deadlock();
"""


async def test_the_victim_of_a_deadlock_is_merged_again_whole(durable: World) -> None:
    await execute(durable, APPLIED + AGAIN)
    await durable.produce(range(100), lambda _: 1)
    async with writer(durable):
        await wait_until_merged(durable, 100)
    await assert_once(durable, 100)
    assert (await durable.fetch("SELECT last_value FROM tries"))[0][0] > 2
    assert await dead_items(durable) == []


@pytest.mark.parametrize("ids", ["Column", "Apart"])
async def test_append_keeps_each_record_once(world: World, ids: str) -> None:
    given = world.settings.sink.model_dump(by_alias=True, exclude_none=True)
    given |= {"mode": "Append", "key": [], "recordIds": ids, "buffer": "Durable"}
    sink = PostgresSink.model_validate(given)
    found = replace(world, settings=world.settings.model_copy(update={"sink": sink}))
    files = {"settings/writer.json": found.settings.model_dump_json(by_alias=True)}
    write_folder(found.folder, files)
    await execute(found, "DROP TABLE users")
    await within(found.uri, lambda connection: target.prepare(connection, sink))
    for _ in range(2):
        await found.produce(range(3000), lambda _: 1)
    async with writer(found) as process:
        await found.wait_for_rows(1)
        await kill(process)
    async with writer(found):
        await wait_until_merged(found, 6000)
    assert await found.fetch("SELECT count(*), count(DISTINCT id) FROM users") == [(3000, 3000)]


async def test_a_deleted_job_leaves_nothing_in_the_buffer(durable: World) -> None:
    await durable.produce(range(300), lambda _: 1)
    async with locked(durable), writer(durable):
        await durable.wait_for_offsets(300)
    assert await buffered(durable) == 300
    await forget(Database(durable.uri), durable.settings.uid)
    assert await buffered(durable) == 0
    assert await durable.fetch("SELECT 1 FROM sluice.slices") == []
