"""The bytes of items that are being read: large ones wait for each other.

With many requests in flight, as many of the longest answers could arrive at one moment, each after
pages that its item has brought already. An item is small until ``FREE`` bytes of it came: those
count with its request. Then what it holds is taken from a budget, as it grows.

Items that hold a part each and wait for more would wait for ever, so one of them may take what is
not there: whoever needs more when nothing is left, the eldest first. It waits for nobody until the
budget holds again. So all hold the budget together, and that one what it needs.
"""

import asyncio
import heapq
from itertools import count
from typing import Final, Self

MOST: Final = 32 << 20
"""Bytes of large items in one process; one item may go beyond."""
FREE: Final = 128 << 10
"""Bytes that an item may have without being large; what large ones take at once."""


class Arriving:
    """The budget of one process."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._beyond: Share | None = None
        """Who took what was not there, until it is."""
        self._waiting: list[tuple[int, int, Share, asyncio.Future[None]]] = []
        """A heap of ages, which differ, and bytes."""
        self._ages = count()

    @property
    def left(self) -> int:
        """Bytes that nobody holds; below 0 what one took beyond them."""
        return self._left

    def share(self) -> "Share":
        """Return one item's part, to be held as a context manager."""
        return Share(self, next(self._ages))

    async def take(self, share: "Share", size: int) -> None:
        """Wait for bytes."""
        if share is self._beyond or not (self._waiting or size > self._left):
            self._left -= size
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (share.age, size, share, waiter))
        self._serve()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give_back(size)
            self._serve()
            raise

    def give_back(self, size: int) -> None:
        """Let others have bytes."""
        self._left += size
        self._serve()

    def _serve(self) -> None:
        if self._left >= 0:
            self._beyond = None
        while self._waiting:
            _, size, share, waiter = self._waiting[0]
            if not waiter.cancelled():
                if size > self._left:
                    if self._beyond is not None:
                        return
                    self._beyond = share
                self._left -= size
                waiter.set_result(None)
            heapq.heappop(self._waiting)


class Share:
    """What one item holds of the budget; a generator would cost three times as much for each."""

    def __init__(self, budget: Arriving, age: int) -> None:
        self.age = age
        """Its place in the order in which items began."""
        self._budget = budget
        self._kept = self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def lacks(self, size: int) -> bool:
        """Whether there is no room for so many bytes of an answer."""
        return self._missing(size) > 0

    async def cover(self, size: int, limit: asyncio.Timeout) -> float:
        """Wait until an answer may have so many bytes; return the seconds that it took.

        They do not count for ``limit``: it is others that the answer waits for.
        """
        begin, end = asyncio.get_running_loop().time(), limit.when()
        limit.reschedule(None)
        await self._grow(size)
        waited = asyncio.get_running_loop().time() - begin
        limit.reschedule(end + waited if end is not None else None)
        return waited

    async def keep(self, size: int) -> None:
        """Hold just so many bytes, those of the pages that were read, until more come."""
        self._kept = size
        await self._grow(0)
        self._shrink(size if size > FREE else 0)

    def drop(self) -> None:
        """Hold nothing."""
        self._kept = 0
        self._shrink(0)

    def _missing(self, size: int) -> int:
        wanted = self._kept + size
        return -(-wanted // FREE) * FREE - self._held if wanted > FREE else 0

    async def _grow(self, size: int) -> None:
        if (missing := self._missing(size)) > 0:
            await self._budget.take(self, missing)
            self._held += missing

    def _shrink(self, size: int) -> None:
        if (rest := self._held - size) > 0:
            self._held -= rest
            self._budget.give_back(rest)
