"""Records that the broker has not acknowledged yet: no more is fetched while these are many.

A slot is free as soon as its request is over. While the broker is slow or gone, a whole window of
items could else be fetched, and wait in memory.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST: Final = 32 << 20
"""Bytes of records of one process; what is in flight when they are reached comes on top."""


class Unsent:
    """Counts their bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._bytes = 0
        self._less = asyncio.Event()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count bytes for as long as they wait."""
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size
            self._less.set()

    async def room(self) -> None:
        """Wait until more may be fetched."""
        while self._bytes >= self._most:
            self._less.clear()
            await self._less.wait()
