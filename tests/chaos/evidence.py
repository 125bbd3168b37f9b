"""Reads what there is at the end: the topics, the table, the offsets and the two histories."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.invariants import Applied, Buffered, Evidence, Message, Moved, Stored
from chaos.job import PARTITIONS, Job
from chaos.producer import Load
from chaos.records import Record
from sluice_api.sink import Buffer
from sluice_workers import wire
from sluice_workers.kafka import client_options
from sluice_workers.settings import KafkaConnection

READ: Final = 60_000
"""Milliseconds in which a topic's next records must come."""
_IN_ORDER: Final = "WHERE job = $1 ORDER BY pg_xact_commit_timestamp(xid::xid), seq"
_PASSED: Final = "SELECT job_uid, partition, next_offset FROM sluice.offsets"
_DONE: Final = """
    SELECT job_uid, partition, coalesce(
      (
        SELECT min(first_offset) FROM sluice.buffer AS b
        WHERE (b.job_uid, b.generation, b.partition) = (o.job_uid, o.generation, o.partition)
      ),
      next_offset
    ) FROM sluice.offsets AS o
"""

Connection = asyncpg.Connection


async def collect(job: Job, load: Load[Record], uri: str) -> Evidence:
    """Return all that is known about a job.

    Raises ``RuntimeError`` when the topic is not what was produced: then nothing can be judged.
    """
    messages = [
        _message(each, load)
        for each in await read(job.servers.kafka, job.topic("records").name, PARTITIONS)
    ]
    missing = load.acknowledged - {message.record.id for message in messages}
    if missing:
        raise RuntimeError(f"the broker lost {len(missing)} acknowledged records: {missing}")
    dead = {
        wire.header(each.headers, wire.ITEM) or ""
        for each in await read(job.servers.kafka, job.topic("dead").name, 1)
    }
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
        chunks = await connection.fetch(
            "SELECT appended, xid::text::bigint, partition, first, next, 0 FROM chaos.chunks"
            " WHERE job = $1 ORDER BY pg_xact_commit_timestamp(xid::xid), partition, id",
            job.name,
        )
        done = _of(job, await committed(connection))
        passed = _of(job, _places(await connection.fetch(_PASSED)))
    finally:
        await connection.close()
    moves = [Moved(*row) for row in moved]
    buffered = None
    if job.buffer is Buffer.DURABLE:
        appended = [Moved(*row[1:]) for row in map(tuple, chunks) if row[0]]
        buffered = Buffered(moves, appended, passed)
        moves = [Moved(*row[1:]) for row in map(tuple, chunks) if not row[0]]
    return Evidence(
        mode=job.mode,
        messages=messages,
        stored=[Stored(*row) for row in stored],
        applied=[Applied(*row) for row in applied],
        moved=moves,
        offsets=done,
        dead=frozenset(dead),
        buffer=buffered,
    )


async def committed(connection: "Connection[asyncpg.Record]") -> dict[tuple[str, int], int]:
    """Return how far each job's partitions are in its table, as the database has it."""
    return _places(await connection.fetch(_DONE))


def _places(rows: Sequence[Any]) -> dict[tuple[str, int], int]:
    return {(job, partition): at for job, partition, at in rows}


def _of(job: Job, places: Mapping[tuple[str, int], int]) -> dict[int, int]:
    return {partition: at for (name, partition), at in places.items() if name == job.name}


def _message(found: Any, load: Load[Record]) -> Message:
    item = wire.header(found.headers, wire.ITEM) or ""
    record_id = wire.record_id(item, int(wire.header(found.headers, wire.ORDINAL) or 0))
    return Message(found.partition, found.offset, load.produced[record_id])


async def read(connection: KafkaConnection, topic: str, partitions: int) -> list[Any]:
    """Read a topic from its start to its end, each partition in order."""
    consumer = AIOKafkaConsumer(**client_options(connection), enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, each) for each in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            batches = await consumer.getmany(timeout_ms=READ)
            if not batches:
                raise RuntimeError(f"topic {topic} cannot be read to its end")
            found += [message for messages in batches.values() for message in messages]
        return found
    finally:
        await consumer.stop()
