"""Reads what there is at the end: the topics, the table, the offsets and the two histories."""

from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.invariants import Applied, Evidence, Message, Moved, Stored
from chaos.job import PARTITIONS, Job
from chaos.producer import Load
from sluice_workers import wire
from sluice_workers.kafka import client_options

READ: Final = 60_000
"""Milliseconds in which a topic's next records must come."""
_IN_ORDER: Final = "WHERE job = $1 ORDER BY pg_xact_commit_timestamp(xid::xid), seq"

Connection = asyncpg.Connection


async def collect(job: Job, load: Load, uri: str) -> Evidence:
    """Return all that is known about a job.

    Raises ``RuntimeError`` when the topic is not what was produced: then nothing can be judged.
    """
    messages = [_message(each, load) for each in await _read(job, "records", PARTITIONS)]
    missing = load.acknowledged - {message.record.id for message in messages}
    if missing:
        raise RuntimeError(f"the broker lost {len(missing)} acknowledged records: {missing}")
    dead = {wire.header(each.headers, wire.ITEM) or "" for each in await _read(job, "dead", 1)}
    connection = await asyncpg.connect(uri)
    try:
        table = job.sink.table
        stored = await connection.fetch(f"SELECT row, record, number FROM {table}")
        applied = await connection.fetch(
            f"SELECT xid::text::bigint, record FROM chaos.applied {_IN_ORDER}", job.name
        )
        moved = await connection.fetch(
            f"SELECT xid::text::bigint, partition, first, next, epoch FROM chaos.moved {_IN_ORDER}",
            job.name,
        )
        offsets = await committed(connection)
    finally:
        await connection.close()
    return Evidence(
        mode=job.mode,
        messages=messages,
        stored=[Stored(*row) for row in stored],
        applied=[Applied(*row) for row in applied],
        moved=[Moved(*row) for row in moved],
        offsets={partition: at for (name, partition), at in offsets.items() if name == job.name},
        dead=frozenset(dead),
    )


async def committed(connection: "Connection[asyncpg.Record]") -> dict[tuple[str, int], int]:
    """Return the next offset of each job's partitions, as the database has it."""
    rows = await connection.fetch("SELECT job_uid, partition, next_offset FROM sluice.offsets")
    return {(job, partition): at for job, partition, at in rows}


def _message(found: Any, load: Load) -> Message:
    item = wire.header(found.headers, wire.ITEM) or ""
    record_id = wire.record_id(item, int(wire.header(found.headers, wire.ORDINAL) or 0))
    return Message(found.partition, found.offset, load.produced[record_id])


async def _read(job: Job, suffix: str, partitions: int) -> list[Any]:
    """Read a topic from its start to its end, each partition in order."""
    consumer = AIOKafkaConsumer(**client_options(job.servers.kafka), enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(job.topic(suffix).name, each) for each in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            batches = await consumer.getmany(timeout_ms=READ)
            if not batches:
                raise RuntimeError(f"topic {job.topic(suffix).name} cannot be read to its end")
            found += [message for messages in batches.values() for message in messages]
        return found
    finally:
        await consumer.stop()
