"""Records that the broker has not acknowledged yet: no more is fetched while these are many.

A slot is free as soon as its request is over. While the broker is slow or gone, a whole window of
items could else be fetched, and wait in memory.
"""

import asyncio
from typing import Final

MOST: Final = 32 << 20
"""Bytes of records of one process; what is in flight when they are reached comes on top."""


class Unsent:
    """Counts their bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._bytes = 0
        self._less = asyncio.Event()

    def holding(self, size: int) -> "Holding":
        """Return what counts bytes for as long as they wait."""
        return Holding(self, size)

    def add(self, size: int) -> None:
        """Count bytes more, or less where negative."""
        self._bytes += size
        if size < 0:
            self._less.set()

    async def room(self) -> None:
        """Wait until more may be fetched."""
        while self._bytes >= self._most:
            self._less.clear()
            await self._less.wait()


class Holding:
    """Bytes that wait; a generator in its place would cost three times as much for each item."""

    def __init__(self, unsent: Unsent, size: int) -> None:
        self._unsent = unsent
        self._size = size

    def __enter__(self) -> None:
        self._unsent.add(self._size)

    def __exit__(self, *_: object) -> None:
        self._unsent.add(-self._size)
