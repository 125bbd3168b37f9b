"""Ways to the API whose connections are leased: the bounds hold for all processes together."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.source import Proxies, Sticky
from sluice_workers.fetch import metrics
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breaker import Breaker
from sluice_workers.fetch.connection import Session, Tally, open_session
from sluice_workers.fetch.outcome import Failure
from sluice_workers.fetch.permits import Ask, Permits
from sluice_workers.fetch.proxy import Proxy, parse_list
from sluice_workers.fetch.routes import Route, choose, follow, preference
from sluice_workers.runtime.cancel import cancel
from sluice_workers.settings import read_text
from sluice_workers.trouble import Say
from sluice_workers.wire import FailureReason

RENEW: Final = 2.0
"""Seconds between two renewals of the lease."""
HUNGRY: Final = 0.25
"""Seconds between them while requests wait for permits."""
TOTAL: Final = "host"
"""The name of the bound over all proxies."""
SUSPECT: Final = frozenset({FailureReason.PROXY, FailureReason.CONNECTION, FailureReason.TIMEOUT})
"""Failures that may be the proxy's."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Waiter:
    future: asyncio.Future[Route]
    key: bytes
    preferred: list[Route] = field(default_factory=list)
    """Where it may go, the best first; empty while that is to be worked out."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections all processes of a job may have open together, and through what."""

    proxies: Proxies | None
    file: Path | None
    """The list of proxies."""
    most: int | None
    """Connections to the API, through all proxies."""
    http2: bool = False
    """Whether connections offer HTTP/2, so that one may take several requests."""

    @property
    def each(self) -> int:
        """Connections a way."""
        if self.proxies is not None:
            return self.proxies.max_connections_per_proxy
        return self.most or 0

    @property
    def total(self) -> int | None:
        """Connections over all ways, if that is another bound than the one of the only way."""
        return self.most if self.proxies is not None else None

    @property
    def sticky(self) -> bool:
        """Whether a key goes through one proxy as long as that is well."""
        return self.proxies is not None and self.proxies.sticky is Sticky.KEY


class LeasedRoutes:
    """Ways with bounds that hold for all processes of a job together."""

    def __init__(self, bounds: Bounds, permits: Permits, addresses: Addresses, say: Say) -> None:
        """Begin to lease; ``say`` is told reason and message of what is wrong."""
        self._bounds = bounds
        self._permits = permits
        self._addresses = addresses
        self._say = say
        self._text: str | None = None
        self._faults: tuple[str, ...] = ()
        self._routes: list[Route] = []
        self._leaving: list[Route] = []
        """Ways that are no more in the list, until their last request is over."""
        self._total = 0
        """Connections that may be used over all proxies, where that is bounded."""
        self._waiters: dict[_Waiter, None] = {}
        self._hungry = asyncio.Event()
        if bounds.proxies is None:
            self._routes.append(self._route("direct", None))
        self._task = asyncio.create_task(self._keep())
        self._task.add_done_callback(self._ended)

    async def take(self, key: bytes) -> Route:
        """Wait for a way with a permit. Raises what nobody foresaw in keeping them."""
        if self._task.done():
            self._task.result()
        waiter = _Waiter(asyncio.get_running_loop().create_future(), key)
        self._waiters[waiter] = None
        self._serve()
        if not waiter.future.done():
            self._hungry.set()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self._free(waiter.future.result())
            raise
        finally:
            self._waiters.pop(waiter, None)

    def give_back(self, route: Route, failure: Failure | None, started: float) -> None:
        """Let the next one take the way, unless it is to rest."""
        now = time.monotonic()
        if route.breaker is not None:
            if failure is None or failure.reason not in SUSPECT:
                route.breaker.answered()
            else:
                route.breaker.failed(started, now, failure.message)
            outcome = "answered" if failure is None else failure.reason.value
            metrics.PROXY_REQUESTS.labels(route.name, outcome).inc()
            metrics.PROXY_LATENCY.labels(route.name).observe(now - started)
        self._free(route)

    @property
    def trouble(self) -> tuple[str, str] | None:
        """Say when every proxy rests."""
        breakers = [route.breaker for route in self._routes if route.breaker]
        if breakers and all(breaker.is_open for breaker in breakers):
            return "ProxiesFailing", f"every proxy rests; one of them: {breakers[0].last}"
        return None

    async def close(self) -> None:
        """Close every connection and end the lease."""
        await cancel([self._task])
        for route in (*self._routes, *self._leaving):
            await route.session.close()
        with contextlib.suppress(DependencyError):
            await self._permits.renew([])

    def _free(self, route: Route) -> None:
        route.in_use -= 1
        self._serve()

    def _serve(self) -> None:
        """Give ways to those that wait, the first first."""
        now = time.monotonic()
        for waiter in list(self._waiters):
            if waiter.future.done():
                continue
            route = self._choice(waiter, now)
            if route is not None:
                route.in_use += 1
                route.peak = max(route.peak, route.needed())
                waiter.future.set_result(route)
            elif not self._bounds.sticky:
                return

    def _choice(self, waiter: _Waiter, now: float) -> Route | None:
        routes = self._routes
        if self._bounds.total is not None and self._needed() >= self._total:
            # No connection more, but those that are needed anyway may take another request.
            routes = [route for route in routes if route.needed(1) == route.needed()]
        if not self._bounds.sticky:
            return choose(routes, now)
        if not waiter.preferred:
            order = preference(waiter.key, [route.name for route in self._routes])
            waiter.preferred = [self._routes[index] for index in order]
        route = follow(waiter.preferred, now)
        return route if route in routes else None

    def _needed(self) -> int:
        return sum(route.needed() for route in self._routes)

    async def _keep(self) -> None:
        """Keep list and lease up to date."""
        while True:
            self._hungry.clear()
            # Also before a renewal, after which nobody would know that the lease had ended.
            await self._close_what_ended()
            try:
                await self._reload()
                await self._renew()
            except ConfigurationError as error:
                self._say("ProxiesUnreadable", str(error))
            except DependencyError as error:
                self._say(error.reason, str(error))
            await self._close_what_ended()
            self._serve()
            await asyncio.sleep(HUNGRY)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW - HUNGRY):
                    await self._hungry.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Tell those that wait, and with them the process, of what nobody foresaw."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_exception(error)

    async def _renew(self) -> None:
        waiting = self._waiting()
        routes = [*self._routes, *self._leaving]
        asks = [
            Ask(route.name, self._bounds.each, self._wanted(route, waiting[route]), route.claimed)
            for route in routes
        ]
        if (most := self._bounds.total) is not None:
            wanted = sum(route.peak for route in routes) + len(self._waiters)
            opened = sum(route.open for route in routes)
            claimed = max(opened, self._total)
            asks.append(Ask(TOTAL, most, min(most, max(wanted, opened)), claimed))
        granted = await self._permits.renew(asks)
        if self._bounds.total is not None:
            self._total = granted[-1]
        for route, allowed in zip(routes, granted, strict=False):
            route.allowed, route.peak = allowed, route.needed()
            _measure(route, route.open, resting=route.resting)

    def _wanted(self, route: Route, waiting: int) -> int:
        return min(self._bounds.each, max(route.peak, route.open, route.needed(waiting)))

    def _waiting(self) -> Counter[Route]:
        """Count those that wait for each way; who may take any counts for an even part of all."""
        if self._bounds.sticky:
            return Counter(waiter.preferred[0] for waiter in self._waiters if waiter.preferred)
        each = -(-len(self._waiters) // max(1, len(self._routes)))
        return Counter(dict.fromkeys(self._routes, each))

    async def _reload(self) -> None:
        """Follow the Secret as Kubernetes updates its mount. Raises ``ConfigurationError``."""
        if self._bounds.file is None:
            return
        text = read_text(self._bounds.file)
        if text != self._text:
            found = parse_list(text)
            self._follow(found.proxies)
            self._text, self._faults = text, found.faults
        if self._faults:
            self._say("ProxyListInvalid", f"the list of proxies: {'; '.join(self._faults[:5])}")
        if not self._routes:
            self._say("NoProxies", "the list of proxies is empty: nothing is sent")
        for route in [route for route in self._leaving if not route.in_use]:
            self._leaving.remove(route)
            await route.session.close()
            _measure(route, 0, resting=False)

    def _follow(self, proxies: Sequence[Proxy]) -> None:
        wanted = {(proxy.name, proxy): proxy for proxy in proxies}
        known = {(route.name, route.proxy): route for route in (*self._leaving, *self._routes)}
        self._leaving = [route for way, route in known.items() if way not in wanted]
        self._routes = [
            known.get(way) or self._route(proxy.name, proxy) for way, proxy in wanted.items()
        ]
        for waiter in self._waiters:
            waiter.preferred = []
        _LOG.info("%d proxies", len(self._routes))

    def _route(self, name: str, proxy: Proxy | None) -> Route:
        tally = Tally(lambda: self._may_open(route))
        breaker = Breaker(self._bounds.proxies.circuit_breaker) if self._bounds.proxies else None
        route = Route(name, self._open(proxy, tally), breaker, tally, proxy)
        return route

    def _open(self, proxy: Proxy | None, tally: Tally | None) -> Session:
        bounds = self._bounds
        return open_session(bounds.each, self._addresses, proxy, tally, http2=bounds.http2)

    def _may_open(self, route: Route) -> bool:
        if self._permits.ended(time.monotonic()) or route.open >= route.allowed:
            return False
        opened = sum(each.open for each in (*self._routes, *self._leaving))
        return self._bounds.total is None or opened < self._total

    async def _close_what_ended(self) -> None:
        """Leave nothing open once the lease has ended: others may be granted what it held."""
        if not self._permits.ended(time.monotonic()):
            return
        self._total = 0
        for route in (*self._routes, *self._leaving):
            route.allowed = 0
            before, route.session = route.session, self._open(route.proxy, route.tally)
            await before.close()


def _measure(route: Route, connections: int, *, resting: bool) -> None:
    if route.breaker is not None:
        metrics.PROXY_CONNECTIONS.labels(route.name).set(connections)
        metrics.PROXY_RESTING.labels(route.name).set(resting)
