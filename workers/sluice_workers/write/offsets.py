"""The offsets in the sink's database, which rows are committed with, and the epochs that fence.

A writer that gets a partition raises its epoch. The update of a predecessor that was only slow then
finds no row, and its transaction is rolled back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from sluice_api.errors import SluiceError

_KNOWN: Final = """
    SELECT partition, next_offset FROM sluice.offsets
    WHERE job_uid = $1 AND generation = $2 AND partition = ANY ($3::int[])
"""
_CLAIM: Final = """
    INSERT INTO sluice.offsets AS o (job_uid, generation, partition, job, next_offset, epoch)
    SELECT $1, $2, partition, $3, start, 1
    FROM unnest($4::int[], $5::bigint[]) AS given (partition, start) ORDER BY partition
    ON CONFLICT (job_uid, generation, partition)
      DO UPDATE SET epoch = o.epoch + 1, updated_at = now()
    RETURNING partition, next_offset, epoch
"""
_ADVANCE: Final = """
    SELECT FROM sluice.offsets
    WHERE job_uid = {job_uid} AND generation = {generation} AND partition IN ({partitions})
    ORDER BY partition FOR UPDATE;
    UPDATE sluice.offsets AS o SET next_offset = given.next, updated_at = now()
    FROM (VALUES {given}) AS given (partition, epoch, first, next)
    WHERE o.job_uid = {job_uid} AND o.generation = {generation} AND o.partition = given.partition
      AND o.epoch = given.epoch AND o.next_offset = given.first
"""
"""With its values in it: as parameters they would take a round trip more.

Two statements, for one would not see what a transaction that it waits for has committed: it looks
for ``next_offset`` where that was when it began.
"""


class FencedError(SluiceError):
    """Another writer has claimed a partition of this batch, or the one before it was not committed.

    Nothing of it was committed.
    """


@dataclass(frozen=True, slots=True)
class Position:
    """Where a writer is in a partition that it has claimed."""

    next_offset: int
    epoch: int


def next_offsets(positions: Mapping[int, Position]) -> dict[int, int]:
    """Return where each partition goes on."""
    return {at: position.next_offset for at, position in positions.items()}


def passed(positions: Mapping[int, Position], ends: Mapping[int, int]) -> dict[int, Position]:
    """Return the positions after offsets have moved to ``ends``."""
    moved = {at: replace(positions[at], next_offset=end) for at, end in ends.items()}
    return {**positions, **moved}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose offsets they are."""

    job_uid: str
    job: str
    generation: int
    """The generation of the records topic."""


async def known(
    connection: "asyncpg.Connection[asyncpg.Record]", owner: Owner, partitions: Sequence[int]
) -> dict[int, int]:
    """Return the next offsets of the partitions that were ever claimed."""
    rows = await connection.fetch(_KNOWN, owner.job_uid, owner.generation, list(partitions))
    return {row["partition"]: row["next_offset"] for row in rows}


async def claim(
    connection: "asyncpg.Connection[asyncpg.Record]", owner: Owner, starts: Mapping[int, int]
) -> dict[int, Position]:
    """Claim partitions; ``starts`` gives the first offset of those that were never claimed.

    Waits for a transaction of the predecessor that has come to its last statement.
    """
    partitions = sorted(starts)
    rows = await connection.fetch(
        _CLAIM,
        owner.job_uid,
        owner.generation,
        owner.job,
        partitions,
        [starts[partition] for partition in partitions],
    )
    return {row["partition"]: Position(row["next_offset"], row["epoch"]) for row in rows}


async def advance(
    connection: "asyncpg.Connection[asyncpg.Record]",
    owner: Owner,
    positions: Mapping[int, Position],
    ends: Mapping[int, int],
    *,
    first: str = "",
) -> None:
    """Move the offsets of a batch's partitions to ``ends``, as the last statement before COMMIT.

    ``first`` is sent with it. Raises ``FencedError`` unless every row still has our epoch and the
    offset we started from.
    """
    partitions = sorted(ends)
    given = ", ".join(
        f"({at:d}, {positions[at].epoch:d}, {positions[at].next_offset:d}, {ends[at]:d})"
        for at in partitions
    )
    move = _ADVANCE.format(
        given=given,
        job_uid=literal(owner.job_uid),
        generation=f"{owner.generation:d}",
        partitions=integers(partitions),
    )
    result = await connection.execute(f"{first}; {move}")
    if result != f"UPDATE {len(partitions)}":
        raise FencedError(
            f"partitions {partitions} of {owner.job} have a newer owner, or the batch before was"
            " not committed"
        )


def integers(values: Iterable[int]) -> str:
    """Return a list of constants."""
    return ", ".join(f"{value:d}" for value in values)


def literal(text: str) -> str:
    """Quote text as a constant that reads the same whatever the server takes backslashes for."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
