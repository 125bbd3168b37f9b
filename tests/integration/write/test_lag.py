"""The lag that a writer tells: while its database is away, and when it has nothing any more."""

import asyncio

import pytest
from aiokafka import TopicPartition

from integration.postgres_server import OwnPostgres
from integration.processes import free_port, pod
from integration.write.manners import loader
from integration.write.test_counts import metric
from integration.write.test_writer import World, assert_newest, world
from sluice_workers import kafka as clients
from sluice_workers.write.lag import Lag

__all__ = ["world"]
LAG = "sluice_write_lag_records"


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    return await loader(server)


async def wait_for_lag(port: int, records: int) -> None:
    async with asyncio.timeout(30):
        while await metric(port, LAG) != records:
            await asyncio.sleep(0.2)


async def test_lag_grows_while_the_database_is_away(world: World, server: OwnPostgres) -> None:
    port = free_port()
    await world.produce(range(300), lambda _: 1)
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(300)
        await wait_for_lag(port, 0)
        server.stop()
        await asyncio.sleep(3)
        await world.produce(range(300, 700), lambda _: 1)
        await wait_for_lag(port, 400)
        await world.produce(range(700, 800), lambda _: 1)
        await wait_for_lag(port, 500)
        assert await metric(port, "sluice_write_lag_seconds") > 3
        server.start()
        await wait_for_lag(port, 0)
    await assert_newest(world, 800, 1)


async def test_lag_is_of_what_is_assigned_and_from_where_it_was_written(world: World) -> None:
    await world.produce(range(300), lambda _: 1)
    topic = world.settings.records.name
    places = {TopicPartition(topic, partition) for partition in range(4)}
    consumer = clients.consumer(
        world.kafka,
        group=world.job.group("write"),
        session_timeout_ms=10_000,
        heartbeat_interval_ms=1_000,
        max_partition_fetch_bytes=1 << 20,
    )
    written: dict[int, int] = {}
    lag = Lag(consumer, lambda: places, lambda: written, lambda _: None)
    await consumer.start()
    try:
        assert await lag.measure() == 300
        written[0] = 10
        assert await lag.measure() == 290
        del written[0]
        assert await lag.measure() == 290
        places.clear()
        assert await lag.measure() == 0
    finally:
        await consumer.stop()
