"""Batching: when a batch is due, what it holds, which rows of it count. Pure, but for its lists."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sluice_workers.write.message import Message
from sluice_workers.write.row import Row


class Trigger(StrEnum):
    """Why a batch was committed."""

    SIZE = "size"
    BYTES = "bytes"
    TIMEOUT = "timeout"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be stored: the facts for the dead topic."""

    key: str
    item: str
    version: int
    ordinal: int
    message: str
    value: str


@dataclass(slots=True)
class Batch:
    """Records in the order in which they were read."""

    messages: list[Message] = field(default_factory=list)
    """What the rows were read from, in step with them."""
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    """Records that are no row."""
    ends: dict[int, int] = field(default_factory=dict)
    """For each partition, the offset after its last record."""
    bytes: int = 0
    """Of the messages' values."""
    since: float | None = None
    """When its first record was read, on a monotonic clock."""
    fetched_at: int = 0
    """When its last record was produced, epoch milliseconds."""

    def __len__(self) -> int:
        return len(self.rows) + len(self.rejected)

    def extend(self, more: "Batch") -> None:
        """Add what was read after this."""
        self.messages += more.messages
        self.rows += more.rows
        self.rejected += more.rejected
        self.ends |= more.ends
        self.bytes += more.bytes
        self.since = more.since if self.since is None else self.since
        self.fetched_at = max(self.fetched_at, more.fetched_at)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told of a batch when its records are forgotten."""

    records: int
    failed: int
    """Records of them that went to the dead topic."""
    mostly_refused: bool
    """Whether Postgres refused more rows than it took."""
    bytes: int
    fetched_at: int
    """When its last record was produced, epoch milliseconds."""

    @classmethod
    def of(cls, batch: Batch, refused: int = 0, kept: int = 0) -> "Outcome":
        """Tell of a batch, and of the rows that Postgres refused and took if it refused some."""
        failed = len(batch.rejected) + refused
        return cls(len(batch), failed, refused > kept, batch.bytes, batch.fetched_at)


@dataclass(frozen=True, slots=True)
class Written:
    """A batch of which nothing is left to be sent but a COMMIT."""

    outcome: Outcome
    commit: Callable[[], Awaitable[None]]
    """Raises ``DependencyError``; then only a new claim tells whether it was committed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is due; sizes in records, bytes and seconds."""

    min_size: int
    max_bytes: int
    timeout: float


FIRST: Final = 16
"""Records that are read before it is known how long they are."""


class Batcher:
    """Collects the next batch. ``size`` is how many records it may hold just now."""

    def __init__(self, limits: Limits, size: int) -> None:
        self._limits = limits
        self._batch = Batch()
        self._mean: float | None = None
        """Bytes of a record of this batch, or of the one before; None before the first."""
        self.size = size

    def __len__(self) -> int:
        return len(self._batch)

    def room(self) -> int:
        """How many more records the batch takes."""
        left = self._limits.max_bytes - self._batch.bytes
        if left <= 0:
            return 0
        fitting = FIRST if self._mean is None else int(left / max(1, self._mean)) + 1
        return max(0, min(self.size - len(self._batch), fitting))

    def age(self, now: float) -> float:
        """How many seconds the oldest record has waited; 0 when there is none."""
        return 0.0 if self._batch.since is None else now - self._batch.since

    def add(self, read: Batch) -> None:
        """Add records that were read after all before."""
        self._batch.extend(read)
        if len(self._batch):
            self._mean = self._batch.bytes / len(self._batch)

    def due(self, now: float) -> Trigger | None:
        """Return why the batch should be committed now, or None."""
        if self._batch.bytes >= self._limits.max_bytes:
            return Trigger.BYTES
        if len(self._batch) >= min(self._limits.min_size, self.size):
            return Trigger.SIZE
        if self._batch.since is not None and self.age(now) >= self._limits.timeout:
            return Trigger.TIMEOUT
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until the timeout; None while the batch is empty."""
        if self._batch.since is None:
            return None
        return max(0.0, self._limits.timeout - self.age(now))

    def take(self) -> Batch:
        """Take everything out."""
        taken, self._batch = self._batch, Batch()
        return taken


def newest(rows: Sequence[Row], identity: Callable[[Row], Any]) -> Sequence[Row]:
    """Return the rows to merge: of several with one identity the newest, the last among equals.

    A row's last column orders it: its version, or the record id, which is its identity.
    """
    found = dict(zip(map(identity, rows), rows, strict=True))
    if len(found) == len(rows):
        return rows
    found.clear()
    for row in rows:
        key = identity(row)
        known = found.get(key)
        if known is None or row[-1] >= known[-1]:
            found[key] = row
    return list(found.values())
