"""While one batch waits for the disk at its COMMIT, the next one is written."""

import asyncio
import json
from typing import Any

import pytest

from integration.postgres_server import OWNER, PASSWORD, OwnPostgres
from integration.processes import pod
from integration.write.manners import USER, loader
from integration.write.test_writer import World, assert_newest, dead_items, headers, world
from sluice_api.spec import Compression
from sluice_workers import kafka as clients
from sluice_workers.write import pool
from sluice_workers.write.database import connect

__all__ = ["world"]
COUNT = 10_000
TOGETHER = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'sluice/test/%' AND state <> 'idle' AND xact_start IS NOT NULL
"""


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    """Each COMMIT takes 50 ms, as on a disk far away, and nobody else may wait for so long."""
    uri = await loader(server)
    await server.execute(f"ALTER ROLE {USER} SET lock_timeout = '20ms'")
    await server.execute("ALTER DATABASE warehouse SET commit_delay = 50000")
    await server.execute("ALTER DATABASE warehouse SET commit_siblings = 0")
    await server.execute("ALTER SYSTEM SET fsync = on")
    await server.execute("SELECT pg_reload_conf()")
    return uri


async def most_together(world: World) -> int:
    """Look how many transactions are under way until all is written; return the most."""
    most = 0
    while await world.offset_sum() < COUNT:
        (found,) = await world.fetch(TOGETHER)
        most = max(most, found[0])
        await asyncio.sleep(0.01)
    return most


async def assert_never_claimed_again(world: World) -> None:
    """A transaction that did not wait for the one before would have been refused."""
    assert await world.fetch("SELECT DISTINCT epoch FROM sluice.offsets") == [(1,)]


@pytest.mark.parametrize("keys", [COUNT, COUNT // 10])
async def test_a_batch_is_written_while_the_one_before_waits_for_the_disk(
    world: World, keys: int
) -> None:
    """Also when it has the same keys, and must wait for them."""
    for first in range(0, COUNT, keys):
        await world.produce(range(keys), lambda _, version=first: version)
    async with pod("write", world.folder):
        async with asyncio.timeout(60):
            assert await most_together(world) == 2
        await assert_newest(world, keys, COUNT - keys)
        await assert_never_claimed_again(world)


NEEDED = """
    CREATE FUNCTION needed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.id >= 200 AND NOT EXISTS (SELECT FROM users WHERE id = NEW.id - 200) THEN
        RAISE 'the one before is not there';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER needed BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION needed();
"""


async def test_a_record_that_needs_one_of_the_batch_before_is_not_refused(
    world: World, server: OwnPostgres
) -> None:
    await server.execute(NEEDED, server.uri_of(OWNER, PASSWORD, "warehouse"))
    producer = clients.producer(world.kafka, Compression.ZSTD)
    await producer.start()
    for number in range(3000):
        value = json.dumps({"id": number, "name": "v1"}).encode()
        await producer.send(
            world.settings.records.name, value, partition=0, headers=headers(str(number), 1)
        )
    await producer.stop()
    async with pod("write", world.folder):
        await world.wait_for_offsets(3000)
    await assert_newest(world, 3000, 1)
    assert await dead_items(world) == []


async def test_one_connection_does_where_there_is_no_second(
    world: World, server: OwnPostgres, capfd: pytest.CaptureFixture[str]
) -> None:
    await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 1")
    world.uri = server.uri_of(OWNER, PASSWORD, "warehouse")  # The writer's is in its folder.
    await world.produce(range(COUNT), lambda _: 1)
    async with pod("write", world.folder):
        async with asyncio.timeout(60):
            assert await most_together(world) == 1
        await assert_newest(world, COUNT, 1)
        await assert_never_claimed_again(world)
    assert capfd.readouterr().err.count("going on with one connection") == 1


async def test_a_second_connection_is_tried_again_after_a_while(
    server: OwnPostgres, postgres_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "ALONE", 0.5)

    async def opened() -> Any:
        return await connect(postgres_uri, "sluice/test")

    await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 1")
    connections = pool.Pool(opened)
    try:
        async with connections.connection():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4), connections.connection():
                    pass
            await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 2")
            await asyncio.sleep(0.5)
            async with asyncio.timeout(5), connections.connection() as second:
                assert await second.fetchval("SELECT 1") == 1
    finally:
        connections.close()
