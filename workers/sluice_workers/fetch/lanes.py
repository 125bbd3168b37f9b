"""Order by key: the next item of a key waits for the one before it, retries included; pure."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """One lane a key; the head of a lane is being worked on, the others wait behind it."""

    def __init__(self) -> None:
        self._lanes: dict[bytes, deque[T] | None] = {}
        """None while nothing waits: a deque for each key would hold more than its item does."""

    def enter(self, key: bytes, item: T) -> bool:
        """Put an item into its lane; tell whether it may start now."""
        if key not in self._lanes:
            self._lanes[key] = None
            return True
        lane = self._lanes[key]
        if lane is None:
            lane = self._lanes[key] = deque()
        lane.append(item)
        return False

    def leave(self, key: bytes) -> T | None:
        """The head of the lane is done: the item that may start now, if one waits.

        Raises ``KeyError`` when nothing of the key is being worked on.
        """
        lane = self._lanes[key]
        if lane:
            return lane.popleft()
        del self._lanes[key]
        return None

    @property
    def waiting(self) -> int:
        """Items that wait behind another of their key."""
        return sum(len(lane) for lane in self._lanes.values() if lane)
