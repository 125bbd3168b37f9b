"""Order by key: the next item of a key waits for the one before it, retries included; pure."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """One lane a key; the head of a lane is being worked on, the others wait behind it."""

    def __init__(self) -> None:
        self._lanes: dict[bytes, deque[T]] = {}

    def enter(self, key: bytes, item: T) -> bool:
        """Put an item into its lane; tell whether it may start now."""
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque()
            return True
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
        return sum(map(len, self._lanes.values()))
