"""Which slices of the durable buffer are merged next, and whether it takes more. Pure.

A slice is all that is buffered of one partition. The order of its chunks holds, for who merges it
holds its lock, takes its first chunks, and deletes them in the transaction that merges them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice_api.sink import DurableBuffer

HELP: Final = 5.0
"""Seconds after which the records of others' partitions are merged too."""
OVERDUE: Final = 5.0
"""Seconds after which the lock of an own slice is waited for: its holder may be frozen, and only
who waits for it ends it (``stall.py``)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What is buffered of a partition."""

    generation: int
    partition: int
    first_offset: int
    records: int
    bytes: int
    age: float
    """Seconds since its oldest chunk was appended."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Slices to merge in one transaction, in this order."""

    generation: int
    partitions: tuple[int, ...]
    wait: bool
    """Whether to wait for their locks instead of passing over those that are held."""


def choose(
    slices: Sequence[Slice], mine: Collection[int], records: int, size: int
) -> Choice | None:
    """Choose the slices of the next merge, of ``records`` and ``size`` bytes or a little more.

    ``mine`` are the partitions that this process consumes: one merger for each, as a rule, so
    mergers seldom meet. Others' are taken when they have waited for ``HELP`` seconds.
    """
    waiting = sorted(
        (each for each in slices if each.partition in mine or each.age >= HELP),
        key=lambda each: (each.partition not in mine, each.generation, -each.age, each.partition),
    )
    if not waiting:
        return None
    first = waiting[0]
    own = first.partition in mine
    chosen: list[Slice] = []
    for each in waiting:
        alike = (each.partition in mine, each.generation) == (own, first.generation)
        taken, heavy = total(chosen)
        if not alike or taken >= records or heavy >= size:
            break
        chosen.append(each)
    partitions = tuple(each.partition for each in chosen)
    return Choice(first.generation, partitions, own and first.age >= OVERDUE)


def total(slices: Sequence[Slice]) -> tuple[int, int]:
    """Return how many records are buffered, and their bytes."""
    return sum(each.records for each in slices), sum(each.bytes for each in slices)


def full(slices: Sequence[Slice], limits: DurableBuffer) -> bool:
    """Whether writers must wait for mergers."""
    records, size = total(slices)
    return records >= limits.max_records or size >= limits.max_bytes


def merged(
    slices: Sequence[Slice], generation: int, positions: Mapping[int, int]
) -> dict[int, int]:
    """Return how far partitions are merged.

    ``positions``, the next offsets to append, must have been read before ``slices`` were.
    """
    firsts = {each.partition: each.first_offset for each in slices if each.generation == generation}
    return {at: min(position, firsts.get(at, position)) for at, position in positions.items()}
