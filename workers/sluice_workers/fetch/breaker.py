"""The circuit breaker of one origin or proxy; pure, but for its counters.

Closed, it lets everything pass. After so many failures in a row, with no answer between them, it
opens: one request may start each pause, the pause grows, and the first answer closes it again.
What was under way when it opened is not held against its items.
"""

from dataclasses import dataclass
from typing import Final

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.outcome import Failure
from sluice_workers.wire import FailureReason

UNAVAILABLE: Final = frozenset({500, 502, 503, 504})
"""Statuses that say more of the API than of the item."""
SUSPECT: Final = frozenset(
    {
        FailureReason.CONNECTION,
        FailureReason.TIMEOUT,
        FailureReason.TOO_SLOW,
        FailureReason.AUTHENTICATION,
        FailureReason.FORBIDDEN_ADDRESS,
        FailureReason.HANDLER_ERROR,
    }
)
"""Reasons likewise. A faulty handler, or credentials that expired, must not burn through every item
either."""


def blames_api(failure: Failure) -> bool:
    """Whether a failure may mean that the API is down."""
    if failure.reason is FailureReason.HTTP_STATUS:
        return failure.status in UNAVAILABLE
    return failure.reason in SUSPECT


@dataclass(slots=True)
class _Opening:
    at: float
    pause: float
    next_probe: float


class Breaker:
    """One API's breaker; all times are seconds of one monotonic clock."""

    def __init__(self, settings: CircuitBreaker) -> None:
        self._failures = settings.failures
        self._initial = settings.pause.initial.seconds
        self._longest = settings.pause.max.seconds
        self._in_a_row = 0
        self._opening: _Opening | None = None
        self._last = ""

    @property
    def message(self) -> str:
        """Why it is open, and what happens, for people: what its owner does."""
        pause = self.pause
        return (
            f"does not serve: {self._last}; one request is tried every {pause:g} s,"
            " all else that needs it waits until it is answered"
        )

    @property
    def last(self) -> str:
        """The message of the last failure."""
        return self._last

    @property
    def is_open(self) -> bool:
        """Whether the API counts as down."""
        return self._opening is not None

    @property
    def pause(self) -> float:
        """Seconds between two tries while it is open."""
        return self._opening.pause if self._opening else 0.0

    def rest(self, now: float) -> float:
        """Return the seconds until a request may start."""
        return max(0.0, self._opening.next_probe - now) if self._opening else 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a request may start; 0 takes the permission."""
        opening = self._opening
        if opening is None:
            return 0.0
        if now < opening.next_probe:
            return opening.next_probe - now
        opening.next_probe = now + opening.pause
        return 0.0

    def answered(self) -> None:
        """Note an answer that the API gave as an API does: it is not down."""
        self._in_a_row = 0
        self._opening = None

    def failed(self, started: float, now: float, message: str) -> bool:
        """Note a failure of the API; tell whether it counts against the item."""
        self._last = message
        opening = self._opening
        if opening is None:
            self._in_a_row += 1
            if self._in_a_row >= self._failures:
                self._opening = _Opening(now, self._initial, now + self._initial)
            return True
        if started < opening.at:
            return False
        opening.pause = min(2 * opening.pause, self._longest)
        opening.next_probe = now + opening.pause
        return True
