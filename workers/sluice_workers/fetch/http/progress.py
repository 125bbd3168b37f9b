"""What an item's pages have brought before one of them failed, until the item's next attempt.

An item is the unit of retry, but a hundred pages are not asked for again because one failed. What
does not fit is forgotten, the oldest first: then the item begins with its first page.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from sluice_workers.fetch.http.pagination import Walk
from sluice_workers.fetch.http.request import Request

MOST: Final = 16 << 20
"""Bytes that are kept in one process."""
ENTRY: Final = 1024
"""Bytes that one entry counts for besides its records."""

Key = tuple[int, int]
"""An item's partition and offset."""


@dataclass(slots=True)
class Progress:
    """The pages of an item that were read, and the one to ask for."""

    request: Request
    walk: Walk
    records: list[bytes] = field(default_factory=list)
    size: int = 0
    """What the records count for, in bytes."""
    resumed: bool = False
    """Whether an earlier attempt read them."""


class Parked:
    """Keeps progress between attempts, within a bound of bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Key, Progress] = OrderedDict()

    def put(self, key: Key, progress: Progress) -> None:
        """Keep progress; forget the oldest for it."""
        self.take(key)
        self._kept[key] = progress
        self._size += progress.size + ENTRY
        while self._size > self._most:
            _, forgotten = self._kept.popitem(last=False)
            self._size -= forgotten.size + ENTRY

    def next_request(self, key: Key) -> Request | None:
        """Return the request for the page that an item goes on with, if it is kept."""
        found = self._kept.get(key)
        return found.request if found else None

    def size(self, key: Key) -> int:
        """Return what the records that are kept for an item count for, in bytes."""
        found = self._kept.get(key)
        return found.size if found else 0

    def take(self, key: Key) -> Progress | None:
        """Return what was kept for an item, once."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found.size + ENTRY
            found.resumed = True
        return found
