"""The tokens of a rate limit that a process has in hand; pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

LASTING: Final = 0.1
"""Seconds after which a token lapses of which the bucket had plenty."""
SPARE: Final = 0.25
"""The part of what lasts that is left, of its tokens or its time, when more are to be taken."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Tokens that a bucket granted at one moment; times are monotonic seconds."""

    granted: int
    held: float
    """What the bucket held before; what exceeds it comes to be at ``pace``."""
    pace: float
    """Tokens a second."""
    late: float
    """Seconds after its moment at which a token lapses."""
    lasts: bool
    """Whether the bucket counts them in its burst for so long that they need not be in time."""
    earliest: float
    latest: float
    """Between these it was granted."""

    def tokens(self) -> list[tuple[float, float]]:
        """Return from when to when each may be used: surely not before its moment, nor too late.

        Where the moment of the grant is not known well, half of the time is left all the same.
        """
        last = self.earliest + LASTING
        late = max(self.earliest + self.late, self.latest + self.late / 2) - self.latest
        found = []
        for number in range(1, self.granted + 1):
            moment = self.latest + max(0.0, number - self.held) / self.pace
            found.append((moment, last if self.lasts else moment + late))
        return found


class Hand:
    """Tokens, used in the order of their moments."""

    def __init__(self) -> None:
        self._tokens: deque[tuple[float, float]] = deque()
        self._few = 0
        self._renew_at = float("inf")
        self.used = 0
        """Tokens that were used since the last lease."""

    def add(self, lease: Lease) -> None:
        """Take tokens into the hand."""
        self._tokens += lease.tokens()
        self._few = int(lease.granted * SPARE) if lease.lasts else 0
        last = lease.earliest + LASTING * (1 - SPARE)
        self._renew_at = last if lease.lasts else float("inf")
        self.used = 0

    def clear(self) -> None:
        """Let all lapse."""
        self._tokens.clear()

    def wait(self, now: float) -> float | None:
        """Return the seconds until a token may be used; None without one."""
        tokens = self._tokens
        while tokens and tokens[0][1] <= now:
            tokens.popleft()
        return max(0.0, tokens[0][0] - now) if tokens else None

    def take(self, now: float) -> bool:
        """Use a token, if one may be used."""
        if self.wait(now) != 0:
            return False
        self._tokens.popleft()
        self.used += 1
        return True

    def is_low(self, now: float) -> bool:
        """Whether it is time to take more: before nothing is left, where there are plenty."""
        return len(self._tokens) <= self._few or now >= self._renew_at
