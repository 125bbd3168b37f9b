"""Objects in the making: what each partition has in hand, and which is to be kept next.

Pure, but for the bytes that it collects. Times are seconds of one monotonic clock, given by the
caller.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from sluice_workers.archive.line import Record, encode


class Trigger(StrEnum):
    """Why an object is complete."""

    BYTES = "bytes"
    TIMEOUT = "timeout"
    QUIET = "quiet"
    MEMORY = "memory"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Limits:
    """When an object is complete, and what a process may hold."""

    max_bytes: int
    timeout: float
    """Seconds from the first record."""
    held_bytes: int
    """Bytes that all assemblies of the process together hold."""
    quiet: float | None = None
    """Seconds from the last record, where the partition's end is near."""


@dataclass(slots=True)
class Assembly:
    """The records of one partition from the offset ``first`` on, as lines."""

    first: int
    lines: bytearray = field(default_factory=bytearray)
    records: int = 0
    next: int = -1
    """The offset after the last record: where the next object begins."""
    earliest: int = 0
    latest: int = 0
    """Bounds of the records' timestamps, epoch milliseconds."""
    since: float = 0.0
    """When the first record came."""
    last: float = 0.0
    """When the last record came."""

    def __post_init__(self) -> None:
        self.next = max(self.next, self.first)

    def add(self, record: Record, now: float) -> int:
        """Add a record and return its bytes; one below ``next`` is there already: 0."""
        if record.offset < self.next:
            return 0
        line = encode(record)
        if not self.records:
            self.since, self.earliest, self.latest = now, record.timestamp, record.timestamp
        self.lines += line
        self.records += 1
        self.next, self.last = record.offset + 1, now
        self.earliest = min(self.earliest, record.timestamp)
        self.latest = max(self.latest, record.timestamp)
        return len(line)

    def due(self, limits: Limits, now: float) -> Trigger | None:
        """Return why this object is complete now, or None."""
        if not self.records:
            return None
        if len(self.lines) >= limits.max_bytes:
            return Trigger.BYTES
        if now - self.since >= limits.timeout:
            return Trigger.TIMEOUT
        if limits.quiet is not None and now - self.last >= limits.quiet:
            return Trigger.QUIET
        return None


def held(assemblies: Collection[Assembly]) -> int:
    """Return the bytes that are held."""
    return sum(len(each.lines) for each in assemblies)


def next_due(
    assemblies: Collection[Assembly], limits: Limits, now: float
) -> tuple[Assembly, Trigger] | None:
    """Return the assembly to keep next and why: the largest, where memory is short."""
    for each in assemblies:
        if trigger := each.due(limits, now):
            return each, trigger
    if held(assemblies) >= limits.held_bytes:
        return max(assemblies, key=lambda each: len(each.lines)), Trigger.MEMORY
    return None
