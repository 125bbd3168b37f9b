"""Batching: when a batch is due, what it holds, which rows of it count. Pure, but for its list."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sluice_workers.write.row import Parsed, Row


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
    message: str
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the records topic: a row, or why there is none."""

    partition: int
    offset: int
    size: int
    """Bytes of the message's value."""
    content: Parsed | Rejected


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is due; sizes in records, bytes and seconds."""

    min_size: int
    max_size: int
    max_bytes: int
    timeout: float


class Batcher:
    """Collects entries in the order in which they were read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: list[Entry] = []
        self._bytes = 0
        self._since: float | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def room(self) -> int:
        """How many records more the batch takes."""
        return max(0, self._limits.max_size - len(self._entries))

    def add(self, entry: Entry, now: float) -> None:
        """Add an entry; ``now`` is a monotonic time in seconds."""
        if self._since is None:
            self._since = now
        self._entries.append(entry)
        self._bytes += entry.size

    def due(self, now: float) -> Trigger | None:
        """Return why the batch should be committed now, or None."""
        if self._bytes >= self._limits.max_bytes:
            return Trigger.BYTES
        if len(self._entries) >= self._limits.min_size:
            return Trigger.SIZE
        if self._since is not None and now - self._since >= self._limits.timeout:
            return Trigger.TIMEOUT
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until the timeout; None while the batch is empty."""
        if self._since is None:
            return None
        return max(0.0, self._since + self._limits.timeout - now)

    def take(self) -> list[Entry]:
        """Take everything out."""
        taken, self._entries = self._entries, []
        self._bytes, self._since = 0, None
        return taken


def ranges(entries: Iterable[Entry]) -> dict[int, int]:
    """Return, for each partition, the offset after its last entry."""
    return {entry.partition: entry.offset + 1 for entry in entries}


def newest_rows(entries: Sequence[Entry]) -> list[Row]:
    """Return the rows to merge: of several with one identity the newest, the last among equals."""
    newest: dict[Row, Parsed] = {}
    for entry in entries:
        parsed = entry.content
        if isinstance(parsed, Rejected):
            continue
        known = newest.get(parsed.identity)
        if known is None or parsed.order >= known.order:
            newest[parsed.identity] = parsed
    return [parsed.values for parsed in newest.values()]
