"""Offsets and records that do not fit together: each is said, none is passed over."""

import asyncio
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from integration.processes import free_port, pod
from integration.write.manners import wait_for_trouble
from integration.write.test_writer import (
    World,
    assert_newest,
    dead_items,
    headers,
    world,
    writer,
)
from sluice_api.spec import Compression
from sluice_workers import kafka as clients

__all__ = ["world"]


async def forget_before(world: World, offset: int) -> None:
    """Let the topic lose its oldest records, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    await admin.start()
    try:
        topic = world.settings.records.name
        before = RecordsToDelete(before_offset=offset)
        await admin.delete_records({TopicPartition(topic, at): before for at in range(4)})
    finally:
        await admin.close()


async def offsets(world: World) -> dict[int, int]:
    rows = await world.fetch("SELECT partition, next_offset FROM sluice.offsets")
    return dict(rows)


async def written(world: World, total: int) -> None:
    """Have a writer write all that there is."""
    async with writer(world):
        await world.wait_for_offsets(total)


async def test_records_that_retention_took_are_told_and_waited_for(world: World) -> None:
    await world.produce(range(400), lambda _: 1)
    await written(world, 400)
    await world.produce(range(400, 800), lambda _: 1)
    before = await offsets(world)
    first = max(before.values()) + 10
    await forget_before(world, first)
    port = free_port()
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "OffsetOutOfRange")
        assert f"the oldest in the topic is {first}" in message
        await asyncio.sleep(3)
        assert await offsets(world) == before
        await world.fetch(f"UPDATE sluice.offsets SET next_offset = {first}")
        await world.wait_for_offsets(800)
    assert await dead_items(world) == []


async def test_offsets_beyond_the_topics_end_are_told_and_waited_for(world: World) -> None:
    await world.produce(range(100), lambda _: 1)
    await written(world, 100)
    await world.fetch("UPDATE sluice.offsets SET next_offset = next_offset + 1000")
    before = await offsets(world)
    await world.produce(range(100, 200), lambda _: 1)
    port = free_port()
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "OffsetAheadOfTopic")
        assert "set next_offset to 0 in sluice.offsets" in message
        await asyncio.sleep(3)
        assert await offsets(world) == before
        await world.fetch("UPDATE sluice.offsets SET next_offset = 0")
        await world.wait_for_offsets(200)
    await assert_newest(world, 200, 1)


async def test_lost_offsets_are_told_when_records_are_gone_too(world: World) -> None:
    await world.produce(range(400), lambda _: 1)
    await written(world, 400)
    await forget_before(world, 5)
    kept: list[Any] = await world.fetch("SELECT partition, next_offset FROM sluice.offsets")
    await world.fetch("DELETE FROM sluice.offsets")
    port = free_port()
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "OffsetsLost")
        assert "restore the table sluice.offsets" in message
        assert await offsets(world) == {}
        owner = f"'{world.settings.uid}', {world.settings.records.generation}"
        for partition, offset in kept:
            await world.fetch(
                "INSERT INTO sluice.offsets (job_uid, generation, partition, job, next_offset,"
                f" epoch) VALUES ({owner}, {partition}, 'restored', {offset}, 1)"
            )
        await world.produce(range(400, 500), lambda _: 1)
        await world.wait_for_offsets(500)
    await assert_newest(world, 500, 1)


async def test_lost_offsets_are_no_loss_while_the_topic_has_everything(world: World) -> None:
    await world.produce(range(400), lambda _: 1)
    await written(world, 400)
    await world.fetch("DELETE FROM sluice.offsets")
    await written(world, 400)
    await assert_newest(world, 400, 1)


async def test_a_topic_that_was_made_anew_is_refused(world: World) -> None:
    """Its records have another generation, which no offset of the database is about."""
    await world.produce(range(100), lambda _: 1)
    await written(world, 100)
    later = world.settings.records.generation + 1
    (world.folder / "settings" / "writer.json").write_text(
        world.settings.model_copy(
            update={"records": world.settings.records.model_copy(update={"generation": later})}
        ).model_dump_json(by_alias=True)
    )
    port = free_port()
    async with pod("write", world.folder, port=port):
        await wait_for_trouble(port, "TopicRecreated")
        rows = await world.fetch(
            f"SELECT sum(next_offset) FROM sluice.offsets WHERE generation = {later}"
        )
        assert rows == [(0,)]


async def test_a_hole_in_the_records_is_told_and_not_passed(world: World) -> None:
    """A transaction's marker takes an offset, as a record that compaction took would."""
    topic = world.settings.records.name
    producer = clients.transactional(world.kafka, Compression.NONE, world.job.name)
    await producer.start()
    for item in ("1", "2"):
        async with producer.transaction():
            value = f'{{"id": {item}, "name": "v1"}}'.encode()
            await producer.send(topic, value, partition=0, headers=headers(item, 1))
    await producer.stop()
    port = free_port()
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "RecordsMissing")
        assert f"{topic}/0: records" in message
        await asyncio.sleep(2)
    # What was read before the hole may have been written; nothing behind it.
    assert await world.offset_sum() <= 1
    assert await dead_items(world) == []
