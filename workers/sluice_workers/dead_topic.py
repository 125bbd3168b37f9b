"""What the dead topic says: which keys have failed, and which items may be put back.

Its messages are failures and two kinds of marks: that a later item of the key succeeded, and that
an item was put back. All of a key are in one partition. What they come to does not depend on their
order or on repeated ones, so what is sent twice after a crash changes nothing. Pure, but for
``scan`` and ``read``.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from sluice_workers import wire

POLL_MS: Final = 500


def failure_rank(version: int, *, record: bool) -> int:
    """Return where a failure stands in the order of its key: an item's, or one of its records'.

    A success of the same item outdoes the first, by which it is only a repetition after a crash,
    and not the second, which comes after the item was fetched.
    """
    return 2 * version + record


def success_rank(version: int) -> int:
    """Return what an item's success outdoes: failures that rank no higher."""
    return 2 * version


def failed_place(rank: int) -> tuple[int, bool]:
    """Return the version that a failure's rank was made from, and whether it is a record's."""
    version, record = divmod(rank, 2)
    return version, bool(record)


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that gives an item or one of its records up."""

    key: str
    item: str
    version: int
    rank: int
    reason: str
    offset: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """A mark: a later item of the key succeeded."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class PutBack:
    """A mark: an item was put back into the items topic."""

    key: str
    item: str
    version: int
    redrive: str


Event = Failed | Recovered | PutBack


def name(key: str, item: str) -> str:
    """Return what a failure is kept under: the key, or the item's id where it has none."""
    return key or item


def read_event(message: Any) -> Event | None:
    """Read a message of the dead topic; None for one that none of us wrote."""
    try:
        return _event(message.key or b"", tuple(message.headers), message.offset)
    except ValueError:
        return None


def _event(key: bytes, headers: wire.Headers, offset: int) -> Event | None:
    given = {each: text.decode() for each, text in headers if each.startswith(wire.OURS)}
    item, version = given.get(wire.ITEM, ""), given.get(wire.VERSION)
    named = name(key.decode(), item)
    if wire.RECOVERED in given:
        return Recovered(named, int(given[wire.RECOVERED]))
    if version is None:
        return None
    if wire.REDRIVE in given:
        return PutBack(named, item, int(version), given[wire.REDRIVE])
    rank = failure_rank(int(version), record=wire.ORDINAL in given)
    return Failed(named, item, int(version), rank, given.get(wire.REASON, ""), offset)


@dataclass(slots=True)
class Standing:
    """What some partitions of the dead topic come to. Holds keys that have failed, and marks."""

    failed: dict[str, dict[str, Failed]] = field(default_factory=dict)
    """For each key, of each of its items the newest failure that no success outdoes."""
    _recovered: dict[str, int] = field(default_factory=dict)
    _put_back: dict[tuple[str, str], int] = field(default_factory=dict)
    """Of each key and item that was put back, up to which version."""
    by_redrive: Counter[str] = field(default_factory=Counter)
    """How many items each redrive has put back."""

    def add(self, event: Event) -> None:
        """Take note of a message."""
        match event:
            case Recovered():
                self._recover(event)
            case PutBack(key, item, version, redrive):
                before = self._put_back.get((key, item), -1)
                self._put_back[key, item] = max(before, version)
                self.by_redrive[redrive] += 1
            case Failed():
                self._fail(event)

    def ranks(self) -> dict[str, int]:
        """Return the keys that have failed, each with its highest rank."""
        return {
            key: max(failure.rank for failure in items.values())
            for key, items in self.failed.items()
        }

    def to_put_back(
        self, reasons: Iterable[str] = (), keys: Iterable[str] = ()
    ) -> Iterator[Failed]:
        """Yield the failures whose items were not put back since.

        ``reasons`` and ``keys`` choose among them; an empty one chooses all.
        """
        reasons, keys = frozenset(reasons), frozenset(keys)
        for key, items in self.failed.items():
            if keys and key not in keys:
                continue
            for item, failure in items.items():
                known = self._put_back.get((key, item), -1)
                if known < failure.version and (not reasons or failure.reason in reasons):
                    yield failure

    def _recover(self, event: Recovered) -> None:
        version = max(self._recovered.get(event.key, -1), event.version)
        self._recovered[event.key] = version
        rank = success_rank(version)
        kept = {
            item: failure
            for item, failure in self.failed.pop(event.key, {}).items()
            if failure.rank > rank
        }
        if kept:
            self.failed[event.key] = kept

    def _fail(self, event: Failed) -> None:
        if event.rank <= success_rank(self._recovered.get(event.key, -1)):
            return
        items = self.failed.setdefault(event.key, {})
        before = items.get(event.item)
        if before is None or (event.rank, event.offset) > (before.rank, before.offset):
            items[event.item] = event


async def scan(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> AsyncIterator[Any]:
    """Yield the messages of a partition from offset ``start`` up to ``end``, exclusively.

    ``consumer`` is a reader of the topic; the partition is paused before and afterwards.
    """
    if start >= end:
        return
    consumer.seek(place, start)
    consumer.resume(place)
    try:
        while await consumer.position(place) < end:
            found = await consumer.getmany(place, timeout_ms=POLL_MS)
            for message in found.get(place, ()):
                if message.offset < end:
                    yield message
    finally:
        consumer.pause(place)


async def bounds(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    """Return a partition's oldest offset and its next."""
    starts = await consumer.beginning_offsets([place])
    ends = await consumer.end_offsets([place])
    return starts[place], ends[place]


async def read(consumer: AIOKafkaConsumer, place: TopicPartition, standing: Standing) -> None:
    """Read a partition to its end of now."""
    start, end = await bounds(consumer, place)
    async for message in scan(consumer, place, start, end):
        event = read_event(message)
        if event is not None:
            standing.add(event)
