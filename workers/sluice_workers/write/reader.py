"""From what the broker's client returns to records of a batch."""

from collections.abc import Iterable, Mapping
from typing import Final

from sluice_api.errors import DependencyError
from sluice_workers import wire
from sluice_workers.settings import Topic
from sluice_workers.write.batch import Batch, Rejected
from sluice_workers.write.message import Message, Messages
from sluice_workers.write.row import InvalidRecordError, Parser

READ_AHEAD: Final = 32 << 20
"""Bytes, as compressed, that may wait in the broker's client, divided among the partitions."""
LEAST: Final = 64 << 10
MOST: Final = 1 << 20
"""Bounds of what one request brings of one partition: no less than fetchers send at a time."""


def fetch_bytes(partitions: int) -> int:
    """Return the bytes that one request may bring of each of the topic's partitions."""
    return min(MOST, max(LEAST, READ_AHEAD // partitions))


class Reader:
    """Reads claimed partitions of one topic, each from a known offset, without a hole."""

    def __init__(self, parser: Parser, topic: Topic, starts: Mapping[int, int]) -> None:
        self._parser = parser
        self._topic = topic
        self._next = dict(starts)

    def read(self, found: Iterable[Messages], now: float) -> Batch:
        """Parse messages, a sequence for each partition; ``now`` is a monotonic time in seconds.

        Raises ``DependencyError`` when the topic is another one than before, or has a hole.
        """
        batch = Batch(since=now)
        for messages in found:
            self._check(messages)
            self.parse(messages, batch)
        return batch

    def parse(self, messages: Messages, batch: Batch) -> None:
        """Add messages of one partition to a batch."""
        rows = self._parser.parse_all(messages)
        if rows is None:
            self._parse_each(messages, batch)
        else:
            batch.rows += rows
            batch.messages += messages
        batch.bytes += sum([len(message.value or b"") for message in messages])
        last = messages[-1]
        batch.ends[last.partition] = self._next[last.partition] = last.offset + 1
        batch.fetched_at = max(batch.fetched_at, last.timestamp)

    def _parse_each(self, messages: Messages, batch: Batch) -> None:
        for message in messages:
            try:
                row = self._parser.parse(message)
            except InvalidRecordError as error:
                batch.rejected.append(rejected(message, str(error)))
            else:
                batch.rows.append(row)
                batch.messages.append(message)

    def _check(self, messages: Messages) -> None:
        first, last = messages[0], messages[-1]
        place = f"{self._topic.name}/{first.partition}"
        wire.refuse_other_generation(place, first.headers, self._topic.generation)
        wanted = self._next[first.partition]
        if (first.offset, last.offset) != (wanted, wanted + len(messages) - 1):
            raise DependencyError(
                "RecordsMissing",
                f"{place}: records {wanted} to {wanted + len(messages) - 1} were to follow, found"
                f" {first.offset} to {last.offset}",
            )


def rejected(message: Message, why: str) -> Rejected:
    """Return what the dead topic is told of a record."""
    return Rejected(
        key=(message.key or b"").decode(errors="replace"),
        item=wire.header(message.headers, wire.ITEM) or "",
        version=_number(wire.header(message.headers, wire.VERSION)),
        ordinal=_number(wire.header(message.headers, wire.ORDINAL)),
        message=why,
        value=(message.value or b"").decode(errors="replace"),
    )


def _number(text: str | None) -> int:
    """Read a header of a record that somebody else may have written; 0 for what fits no bigint."""
    try:
        found = int(text or "")
    except ValueError:
        return 0
    return found if 0 <= found < 1 << 63 else 0
