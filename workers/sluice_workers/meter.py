"""Rates and means over about the last half minute, for ``/state``."""

from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 30.0
"""Seconds that a meter looks back."""


@dataclass(slots=True)
class _Slot:
    second: int
    count: int
    total: float


class Meter:
    """Counts what happens and sums a measure of it, second by second.

    Times are seconds of one monotonic clock, given by the caller.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._slots: deque[_Slot] = deque()

    def add(self, now: float, count: int = 1, total: float = 0.0) -> None:
        """Count something, and the sum of its measure."""
        second = int(now)
        if self._slots and self._slots[-1].second == second:
            last = self._slots[-1]
            last.count += count
            last.total += total
            return
        self._slots.append(_Slot(second, count, total))
        self._forget(now)

    def rate(self, now: float) -> float:
        """Return how many a second."""
        self._forget(now)
        seconds = min(WINDOW, max(1.0, now - self._started))
        return sum(slot.count for slot in self._slots) / seconds

    def mean(self, now: float) -> float | None:
        """Return the mean of the measure; None when nothing happened."""
        self._forget(now)
        count = sum(slot.count for slot in self._slots)
        return sum(slot.total for slot in self._slots) / count if count else None

    def _forget(self, now: float) -> None:
        while self._slots and self._slots[0].second < now - WINDOW:
            self._slots.popleft()
