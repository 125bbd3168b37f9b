"""Items whose turn has come and that wait for a slot."""

import asyncio
import itertools

from sluice_workers.fetch.partition import Work


class Backlog:
    """First in, first out; but what was taken long ago goes before what was taken just now.

    An item that comes back to be tried again, or that waited for another of its key, holds back the
    commit of everything after it: behind thousands of newer ones it would do so for long.
    """

    def __init__(self) -> None:
        self._queue: asyncio.PriorityQueue[tuple[bool, int, Work]] = asyncio.PriorityQueue()
        self._order = itertools.count()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, work: Work) -> None:
        """Add an item that has just been taken."""
        self._queue.put_nowait((True, next(self._order), work))

    def put_first(self, work: Work) -> None:
        """Add an item that has waited already."""
        self._queue.put_nowait((False, next(self._order), work))

    async def get(self) -> Work:
        """Wait for the next item whose partition is still here."""
        while True:
            _, _, work = await self._queue.get()
            if not work.partition.lost:
                return work

    def get_nowait(self) -> Work | None:
        """Return the next item whose partition is still here, if there is one."""
        while not self._queue.empty():
            _, _, work = self._queue.get_nowait()
            if not work.partition.lost:
                return work
        return None
