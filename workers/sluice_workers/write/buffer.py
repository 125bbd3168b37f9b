"""The SQL of the durable buffer: appending, looking, taking, and deleting what is merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from sluice_api.errors import SluiceError
from sluice_workers.write.chunk import Chunk, chunks, unpacked
from sluice_workers.write.database import Connection
from sluice_workers.write.offsets import Owner, integers, literal
from sluice_workers.write.slices import Choice, Slice

_SLICES: Final = """
    INSERT INTO sluice.slices (job_uid, generation, partition)
    SELECT $1, $2, partition FROM unnest($3::int[]) AS given (partition) ORDER BY partition
    ON CONFLICT DO NOTHING
"""
_LOOK: Final = """
    SELECT generation, partition, min(first_offset), sum(records)::bigint, sum(bytes)::bigint,
      extract(epoch FROM clock_timestamp() - min(appended_at))::float8
    FROM sluice.buffer WHERE job_uid = $1 GROUP BY generation, partition
"""
_READ: Final = """
    WITH free AS MATERIALIZED (
      SELECT partition FROM sluice.slices
      WHERE job_uid = $1 AND generation = $2 AND partition = ANY ($3::int[])
      ORDER BY partition FOR UPDATE SKIP LOCKED
    ), queued AS (
      SELECT id, b.partition, array_position($3::int[], b.partition) AS place,
        sum(records) OVER before - records AS records, sum(bytes) OVER before - bytes AS bytes
      FROM sluice.buffer AS b JOIN free ON free.partition = b.partition
      WHERE job_uid = $1 AND generation = $2
      WINDOW before AS (ORDER BY array_position($3::int[], b.partition), id)
    )
    SELECT b.id, b.partition, b.first_offset, b.next_offset, b.records, b.bytes, b.body
    FROM queued AS q JOIN sluice.buffer AS b ON b.partition = q.partition AND b.id = q.id
    WHERE b.job_uid = $1 AND b.generation = $2 AND q.records < $4 AND q.bytes < $5
    ORDER BY q.place, b.id
"""
_LOCK: Final = """
    SELECT partition FROM sluice.slices
    WHERE job_uid = $1 AND generation = $2 AND partition = ANY ($3::int[])
    ORDER BY partition FOR UPDATE
"""
_THERE: Final = """
    SELECT count(*) FROM unnest($3::int[], $4::bigint[], $5::bigint[]) AS given (part, id, first)
    JOIN sluice.buffer AS b ON b.partition = given.part AND b.id = given.id
    WHERE b.job_uid = $1 AND b.generation = $2 AND b.first_offset = given.first
"""
_DELETE: Final = """
    DELETE FROM sluice.buffer
    WHERE job_uid = {job_uid} AND generation = {generation}
      AND partition = ANY (ARRAY[{partitions}]::int[]) AND id = ANY (ARRAY[{ids}]::bigint[])
"""
"""With its values in it: as parameters they would take a round trip more."""
_SHORTEN: Final = """
    UPDATE sluice.buffer SET first_offset = $5, records = $6, bytes = $7, body = $8
    WHERE job_uid = $1 AND generation = $2 AND partition = $3 AND id = $4
"""
_COLUMNS: Final = (
    "job_uid", "generation", "partition", "first_offset", "next_offset", "records", "bytes", "body",
)  # fmt: skip


class TakenError(SluiceError):
    """Another merger has these chunks, or had them: nothing of this merge was committed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A chunk as it is in the buffer."""

    id: int
    partition: int
    first_offset: int
    next_offset: int
    records: int
    size: int
    """Bytes of the messages' values."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """Chunks that are to be merged: the first ones of their slices."""

    generation: int
    chunks: tuple[Held, ...]
    wait: bool

    @property
    def partitions(self) -> list[int]:
        """The partitions of the chunks."""
        return sorted({chunk.partition for chunk in self.chunks})

    def after(self, ends: Mapping[int, int]) -> "Taken":
        """Return what is left when all records below an offset of each partition are merged."""
        left = (_after(chunk, ends.get(chunk.partition, 0)) for chunk in self.chunks)
        return replace(self, chunks=tuple(chunk for chunk in left if chunk is not None))


def _after(held: Held, end: int) -> Held | None:
    if end <= held.first_offset:
        return held
    if end >= held.next_offset:
        return None
    messages = unpacked(held.partition, held.first_offset, held.body)
    (chunk,) = chunks(messages[end - held.first_offset :])
    return replace(held, first_offset=end, records=chunk.records, size=chunk.size, body=chunk.body)


async def append(
    connection: "Connection[asyncpg.Record]", owner: Owner, found: Sequence[Chunk]
) -> None:
    """Append chunks."""
    partitions = sorted({chunk.partition for chunk in found})
    await connection.execute(_SLICES, owner.job_uid, owner.generation, partitions)
    rows = [
        (
            owner.job_uid,
            owner.generation,
            chunk.partition,
            chunk.first_offset,
            chunk.next_offset,
            chunk.records,
            chunk.size,
            chunk.body,
        )
        for chunk in found
    ]
    await connection.copy_records_to_table(
        "buffer", schema_name="sluice", records=rows, columns=_COLUMNS
    )


async def look(connection: "Connection[asyncpg.Record]", job_uid: str) -> list[Slice]:
    """Return what is buffered of a job."""
    return [Slice(*row) for row in await connection.fetch(_LOOK, job_uid)]


async def read(
    connection: "Connection[asyncpg.Record]",
    job_uid: str,
    choice: Choice,
    records: int,
    size: int,
) -> Taken:
    """Read the first chunks of slices that nobody is merging just now, about so many records."""
    given = (job_uid, choice.generation, list(choice.partitions), records, size)
    statement = _READ.replace(" SKIP LOCKED", "") if choice.wait else _READ
    rows = await connection.fetch(statement, *given)
    return Taken(choice.generation, tuple(Held(*row) for row in rows), choice.wait)


async def lock(connection: "Connection[asyncpg.Record]", job_uid: str, taken: Taken) -> None:
    """Lock the slices of the chunks that this transaction merges.

    Raises ``TakenError`` when somebody else merges them, or did.
    """
    partitions = taken.partitions
    statement = _LOCK if taken.wait else f"{_LOCK} SKIP LOCKED"
    locked = await connection.fetch(statement, job_uid, taken.generation, partitions)
    if len(locked) < len(partitions):
        raise TakenError(f"partitions {partitions} are being merged by another")
    places = [(each.partition, each.id, each.first_offset) for each in taken.chunks]
    there = await connection.fetchval(_THERE, job_uid, taken.generation, *zip(*places, strict=True))
    if there != len(places):
        raise TakenError(f"partitions {partitions} were merged by another meanwhile")


async def remove(
    connection: "Connection[asyncpg.Record]",
    job_uid: str,
    taken: Taken,
    left: Taken,
    *,
    first: str,
) -> None:
    """Delete what was taken but for what is left of it; the slices are locked.

    ``first`` is sent with it.
    """
    of_job = (job_uid, taken.generation)
    kept = {chunk.id: chunk for chunk in left.chunks}
    gone = [chunk.id for chunk in taken.chunks if chunk.id not in kept]
    delete = _DELETE.format(
        job_uid=literal(job_uid),
        generation=f"{taken.generation:d}",
        partitions=integers(taken.partitions),
        ids=integers(gone),
    )
    await connection.execute(f"{first}; {delete}")
    for chunk in taken.chunks:
        rest = kept.get(chunk.id, chunk)
        if rest.first_offset != chunk.first_offset:
            found = (rest.first_offset, rest.records, rest.size, rest.body)
            await connection.execute(_SHORTEN, *of_job, rest.partition, rest.id, *found)
