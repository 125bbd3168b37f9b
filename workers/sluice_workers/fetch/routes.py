"""The ways to the API: directly, or through proxies; which one a request takes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breaker import Breaker
from sluice_workers.fetch.connection import Session, Tally, open_session
from sluice_workers.fetch.http2.session import Http2Session
from sluice_workers.fetch.outcome import Failure
from sluice_workers.fetch.proxy import Proxy


@dataclass(eq=False, slots=True)
class Route:
    """One way to the API."""

    name: str
    session: Session
    breaker: Breaker | None = None
    tally: Tally | None = None
    proxy: Proxy | None = None
    allowed: int = 0
    """Connections that may be used."""
    in_use: int = 0
    """Requests that are under way."""
    peak: int = 0
    """Connections that were needed at once since the lease was renewed."""

    @property
    def streams(self) -> int:
        """Requests that a connection takes at once."""
        return self.session.streams if isinstance(self.session, Http2Session) else 1

    def needed(self, more: int = 0) -> int:
        """Return the connections for what is under way, and so many requests more."""
        return -(-(self.in_use + more) // self.streams)

    @property
    def free(self) -> bool:
        """Whether its permits leave room for one more request."""
        return self.needed(1) <= self.allowed

    @property
    def resting(self) -> bool:
        """Whether it failed too often."""
        return self.breaker is not None and self.breaker.is_open

    def rest_is_over(self, now: float) -> bool:
        """Whether one request may try it again; takes the permission."""
        return self.breaker is not None and self.breaker.wait(now) <= 0

    @property
    def open(self) -> int:
        """Connections that are open, idle ones included."""
        return self.tally.open if self.tally else 0

    @property
    def claimed(self) -> int:
        """Connections that are open, or might be in a moment."""
        return max(self.open, self.allowed)

    @property
    def over(self) -> bool:
        """Whether a connection is to be closed after its request: more are open than allowed."""
        return self.open > self.allowed

    @property
    def headers(self) -> dict[str, str] | None:
        """What a request must say besides."""
        return {"connection": "close"} if self.over else None


class Routes(Protocol):
    """Gives each request its way."""

    async def take(self, key: bytes) -> Route:
        """Wait for a way that a request for this item key may take."""

    def give_back(self, route: Route, failure: Failure | None, started: float) -> None:
        """Note that a request is over, how it ended, and when it began (monotonic seconds)."""

    @property
    def trouble(self) -> tuple[str, str] | None:
        """Reason and message of what keeps requests from starting."""

    async def close(self) -> None:
        """Close every connection."""


class Direct:
    """The one way of a job without proxies and without a bound of connections."""

    def __init__(self, concurrency: int, addresses: Addresses, *, http2: bool = False) -> None:
        self._route = Route("direct", open_session(concurrency, addresses, http2=http2))
        self.trouble = None

    async def take(self, key: bytes) -> Route:  # noqa: ARG002  all go the same way
        """Return it at once."""
        return self._route

    def give_back(self, route: Route, failure: Failure | None, started: float) -> None:
        """Note nothing: there is nothing to choose."""

    async def close(self) -> None:
        """Close every connection."""
        await self._route.session.close()


def preference(key: bytes, names: Sequence[str]) -> tuple[int, ...]:
    """Order proxies for a key, the same in every process (rendezvous hashing, Thaler 1998).

    A proxy that goes moves its own keys alone, one that comes takes an even share of all.
    """

    def score(index: int) -> bytes:
        name = names[index].encode()
        return hashlib.blake2b(key + b"\0" + name, digest_size=8).digest()

    return tuple(sorted(range(len(names)), key=score))


def choose(routes: Sequence[Route], now: float) -> Route | None:
    """Return the least used way that is well; one whose rest is over goes first."""
    free = [route for route in routes if route.free]
    for route in free:
        if route.resting and route.rest_is_over(now):
            return route
    well = [route for route in free if not route.resting]
    return min(well, key=lambda route: route.in_use / route.allowed, default=None)


def follow(preferred: Sequence[Route], now: float) -> Route | None:
    """Return the first way that is well or to be tried again; None when that has no permit left."""
    for route in preferred:
        if not route.resting:
            return route if route.free else None
        if route.free and route.rest_is_over(now):
            return route
    return None
