"""When it was by our own clock what a server's clock says; pure."""

from typing import Final

DRIFT: Final = 0.001
"""Seconds by which two clocks may come apart in one."""


class ServerClock:
    """Narrows down how far a server's clock is off, by the quickest of its answers.

    An answer was given between question and receipt, which may be long on a busy machine. What
    quicker ones told before holds still, but for the drift.
    """

    def __init__(self) -> None:
        self._least, self._most = float("-inf"), float("inf")
        """Bounds of what our clock is ahead of the server's."""
        self._since = 0.0
        """The earliest moment for which they may have been found."""

    def between(self, told: float, asked: float, answered: float) -> tuple[float, float]:
        """Return bounds of the moment at which the server told its time; all in seconds."""
        drift = DRIFT * max(0.0, answered - self._since)
        least = max(self._least - drift, asked - told)
        most = min(self._most + drift, answered - told)
        if least > most:  # one of the clocks was set
            least, most = asked - told, answered - told
        self._least, self._most, self._since = least, most, asked
        return told + least, told + most
