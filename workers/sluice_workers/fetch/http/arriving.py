"""The bytes of answers that are being read: large ones wait for each other.

With many requests in flight, as many of the longest answers could arrive at one moment. An answer
is small until ``FREE`` bytes of it came: those count with its request. Then it takes all that it
may become, at once: answers that held a part each and waited for the rest would wait for ever.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST: Final = 32 << 20
"""Bytes of large answers in one process; a larger one comes alone."""
FREE: Final = 128 << 10
"""Bytes that an answer may have without being large."""


class Arriving:
    """The budget of one process, given out in the order in which it was asked for."""

    def __init__(self, most: int = MOST) -> None:
        self._most = self._left = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def left(self) -> int:
        """Bytes that nobody holds."""
        return self._left

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Give one answer its part, for as long as it is held."""
        found = Share(self)
        try:
            yield found
        finally:
            found.keep(0)

    async def take(self, size: int) -> int:
        """Wait for bytes; return how many they are: never more than there are in all."""
        size = min(size, self._most)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((size, waiter))
        self._serve()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._left += size
            self._serve()
            raise
        return size

    def give_back(self, size: int) -> None:
        """Let others have bytes."""
        self._left += size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            size, waiter = self._waiting[0]
            if not waiter.cancelled():
                if size > self._left:
                    return
                self._left -= size
                waiter.set_result(None)
            self._waiting.popleft()


class Share:
    """What one answer holds of the budget."""

    def __init__(self, budget: Arriving) -> None:
        self._budget = budget
        self._held = 0

    async def cover(self, size: int, limit: asyncio.Timeout) -> float:
        """Wait until an answer may have so many bytes; return the seconds that it took.

        They do not count for ``limit``: it is others that the answer waits for.
        """
        if self._held or size <= FREE:
            return 0.0
        begin, end = asyncio.get_running_loop().time(), limit.when()
        limit.reschedule(None)
        self._held = await self._budget.take(size)
        waited = asyncio.get_running_loop().time() - begin
        limit.reschedule(end + waited if end is not None else None)
        return waited

    def keep(self, size: int) -> None:
        """Give back what is held beyond these bytes."""
        if (rest := self._held - size) > 0:
            self._held -= rest
            self._budget.give_back(rest)
