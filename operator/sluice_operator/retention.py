"""How far topics are trimmed: as old as retention allows, and nothing that anybody needs. Pure.

Topics have no limit at the broker, which does not know what was consumed. A record stays while it
is younger than ``topics.retention``, a group that reads it has yet to, or the sink's own offset is
not behind it. An item stays likewise, until its records are written, and while it is the one of its
key that failed by a refused record: a redrive reads it again. What is not known keeps everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.partitioner import murmur2

from sluice_operator.observed import TopicOffsets
from sluice_operator.run import reached
from sluice_workers import wire
from sluice_workers.dead_topic import failed_place

_POSITIVE: Final = 0x7FFFFFFF

Bounds = Sequence[int | None]
"""For each partition the first offset that a reader needs; None where that is not known."""


def starts(now: Sequence[int], aged: Sequence[int], readers: Sequence[Bounds]) -> tuple[int, ...]:
    """Return where each partition shall start: never before ``now``, where it starts already.

    ``aged[p]`` is the first offset that is too young to go.
    """
    return tuple(
        _start(now[number], aged[number], [reader[number] for reader in readers])
        for number in range(len(now))
    )


def _start(now: int, aged: int, needed: Sequence[int | None]) -> int:
    known = [each for each in needed if each is not None]
    return max(now, min(aged, *known)) if known and len(known) == len(needed) else now


def moved(before: Sequence[int], after: Sequence[int]) -> dict[int, int]:
    """Return the new starts of the partitions that have one."""
    pairs = enumerate(zip(before, after, strict=True))
    return {number: new for number, (old, new) in pairs if new > old}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to where items were fetched, and where the records topic ended after that."""

    items: Bounds
    records: tuple[int, ...]


def settled(
    last: Checkpoint | None, items: TopicOffsets, records: TopicOffsets
) -> tuple[Bounds | None, Checkpoint]:
    """Return up to where items have all their records written, and the checkpoint to go on from.

    ``records`` were read after ``items``, for the writers' group: an item is committed after its
    records are in the topic. None until writers have passed the checkpoint of an earlier look.
    """
    now = Checkpoint(items.committed, records.ends)
    for each in (now, last):
        if each is not None and reached(records, each.records):
            return each.items, now
    return None, last or now


def refused_items(
    ranks: Mapping[str, int], generation: int, before: Sequence[int]
) -> tuple[int, ...]:
    """Return for each partition the first item whose records are refused, at most ``before``.

    ``ranks`` are those of the failed set, or a part of them, and ``generation`` is the items
    topic's. Its items were seeded, by their keys.
    """
    found = list(before)
    for key, rank in ranks.items():
        version, refused = failed_place(rank)
        of, offset = wire.item_place(version)
        if refused and of == generation:
            number = (murmur2(key.encode()) & _POSITIVE) % len(found)
            found[number] = min(found[number], offset)
    return tuple(found)


def forgettable(items: Sequence[int], aged: Sequence[int]) -> bool:
    """Whether ids of records that are gone may go too: nothing can bring the records back.

    An item is older than its records. When no item as old as what was trimmed is left in its topic,
    where it starts at ``items``, none of the records that are gone can be produced again.
    """
    return all(start >= old for start, old in zip(items, aged, strict=True))


def aged(found: Iterable[int | None], ends: Iterable[int]) -> tuple[int, ...]:
    """Return the first offsets that are too young; the end where all messages are old."""
    pairs = zip(found, ends, strict=True)
    return tuple(end if offset is None else min(offset, end) for offset, end in pairs)
