"""Items whose origin counts as down: they hold no slot meanwhile, so those of others pass them."""

import asyncio
from collections import deque

from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.breakers import Breakers, Origin
from sluice_workers.fetch.partition import Work


class Paused:
    """Keeps items by their origin, and gives them back to the backlog: one a pause, then all.

    They count for the windows of their partitions, as those do that wait to be tried again.
    """

    def __init__(self, breakers: Breakers, backlog: Backlog) -> None:
        self._breakers = breakers
        self._backlog = backlog
        self._items: dict[Origin, deque[Work]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._items.values()))

    def hold(self, origin: Origin, work: Work) -> None:
        """Keep an item until its origin may be asked."""
        if origin not in self._items:
            self._items[origin] = deque()
            self._later(origin)
        self._items[origin].append(work)

    def admits(self, origin: Origin) -> bool:
        """Whether a request may start now; it takes the permission."""
        return self._breakers.admits(origin)

    def answered(self, origin: Origin) -> None:
        """Note an answer: the origin's items go on."""
        self._breakers.answered(origin)
        for work in self._items.pop(origin, ()):
            self._backlog.put_first(work)

    def _later(self, origin: Origin) -> None:
        delay = self._breakers.pause(origin)
        asyncio.get_running_loop().call_later(delay, self._try, origin, self._items[origin])

    def _try(self, origin: Origin, items: deque[Work]) -> None:
        """Let one item try, or all once the origin is not down any more."""
        if self._items.get(origin) is not items:
            return
        if not self._breakers.is_open(origin):
            self.answered(origin)
            return
        here = [work for work in items if not work.partition.lost]
        items.clear()
        items.extend(here)
        if not items:
            del self._items[origin]
            return
        if (pause := self._breakers.pause(origin)) <= 0:
            self._backlog.put_first(items.popleft())
            pause = self._breakers.interval(origin)
        asyncio.get_running_loop().call_later(pause, self._try, origin, items)
