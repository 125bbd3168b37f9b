"""The circuit breakers of the origins that a job asks; pure, but for its counters.

An origin is kept only from its first failure to its next answer, so few are known at any time.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from yarl import URL

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.breaker import Breaker

Origin: TypeAlias = str
"""Scheme, host and port, such as ``https://api.example.com``; or a name of what stands for one."""
MOST: Final = 1024
"""Origins whose failures are counted at once; beyond, the one that failed longest ago is forgotten:
its items are tried, and it counts anew."""

_BASE: Final = re.compile(r"[^/?#]*//[^/?#]*")


class OriginPausedError(Exception):
    """An origin counts as down, and is not asked just now."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(f"{origin} counts as down")
        self.origin = origin


class Gate(Protocol):
    """Lets requests of an origin start."""

    def admits(self, origin: Origin) -> bool:
        """Whether a request may start now; while the origin counts as down, one each pause."""

    def answered(self, origin: Origin) -> None:
        """Note an answer that the origin gave as an API does: it is not down."""


class Breakers:
    """One breaker an origin."""

    def __init__(
        self,
        settings: CircuitBreaker,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._most = most
        self._clock = clock
        self._failing: OrderedDict[Origin, Breaker] = OrderedDict()
        """The origin that failed last comes last."""

    def __len__(self) -> int:
        return len(self._failing)

    def is_open(self, origin: Origin) -> bool:
        """Whether an origin counts as down."""
        breaker = self._failing.get(origin)
        return breaker is not None and breaker.is_open

    def admits(self, origin: Origin) -> bool:
        """Whether a request may start now; it takes the permission."""
        breaker = self._failing.get(origin)
        return breaker is None or breaker.wait(self._clock()) <= 0

    def pause(self, origin: Origin) -> float:
        """Seconds until a request of an origin may start; it takes nothing."""
        breaker = self._failing.get(origin)
        return breaker.rest(self._clock()) if breaker else 0.0

    def interval(self, origin: Origin) -> float:
        """Seconds between two tries of an origin that is down."""
        breaker = self._failing.get(origin)
        return breaker.pause if breaker else 0.0

    def answered(self, origin: Origin) -> None:
        """Note an answer that the origin gave as an API does: it is not down."""
        self._failing.pop(origin, None)

    def failed(self, origin: Origin, started: float, message: str) -> bool:
        """Note a failure of an origin; tell whether it counts against the item."""
        breaker = self._failing.pop(origin, None) or Breaker(self._settings)
        self._failing[origin] = breaker
        if len(self._failing) > self._most:
            self._failing.popitem(last=False)
        return breaker.failed(started, self._clock(), message)

    @property
    def message(self) -> str | None:
        """Which origins count as down, and why, for people; None when none does."""
        down = {origin: each for origin, each in self._failing.items() if each.is_open}
        if not down:
            return None
        origin = next(reversed(down))
        others = f"; {len(down) - 1} other origins are down as well" if len(down) > 1 else ""
        return f"{origin} {down[origin].message}{others}"


def origin_of(url: str) -> Origin:
    """Return the origin of an absolute URL, the same however the URL spells it."""
    return _normal(base_of(url))


def base_of(url: str) -> str:
    """Return a URL up to its path, as it is; all of what is no absolute URL."""
    found = _BASE.match(url)
    return found[0] if found else url


@lru_cache(maxsize=MOST)
def _normal(base: str) -> Origin:
    try:
        return str(URL(base.lower(), encoded=True).origin())
    except ValueError:
        return base.lower()
