"""The rate limit of a job, or of all jobs that share one: a token bucket in Redis.

Tokens are taken in small leases, so that Redis is asked far less than once per request. A lease may
reach a little into the future: each of its tokens has a moment of its own, before which it is not
used, so that many processes together keep the pace of one. A token that is late lapses: what many
processes hold can then not be used at once on top of the burst, which gives a part of itself for
what is late. Moments are the server's, known as well as its quickest answers tell. Of a bucket that
stays full, tokens last longer: it holds less by what lasts, so that it counts in the burst all the
same, and the next ones are taken before the last is used. A process without tokens sends nothing.

An answer 429 multiplies the rate by ``BACK_OFF``, at the most once a second; from there it grows
evenly, and is whole after ``recovery``. A cooldown that the API asked for rests the whole bucket,
which then begins empty.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_api.source import RateLimit
from sluice_workers.fetch import metrics
from sluice_workers.fetch.hand import LASTING, Hand, Lease
from sluice_workers.fetch.server_clock import ServerClock

AHEAD: Final = 0.2
"""Seconds' worth of tokens that may be reserved ahead, and that one lease takes at the most."""
LATEST: Final = 0.5
"""Seconds after its moment at which a token lapses in any case."""
JITTER: Final = 0.01
"""The part of a period by which every token may be late."""
BACK_OFF: Final = 0.7
"""What is left of the rate after a 429."""
REMEMBERED: Final = 30.0
"""Seconds after a lease within which a bucket without state has lost it, rather than expired."""
_SCRIPTS: Final = files("sluice_workers.fetch")
Say = Callable[[str, str], None]


class Limiter(Protocol):
    """Lets requests start."""

    def rest(self, now: float) -> float:
        """Return the seconds, as far as is known, for which nothing may start."""

    async def acquire(self) -> None:
        """Return when one request may start. Raises ``DependencyError``; then none may."""

    async def slow_down(self, *, rest: float, lower: bool) -> None:
        """Start nothing for ``rest`` seconds, then less. Raises ``DependencyError``."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a limit means for its bucket.

    No window as long as the period or longer, wherever it begins, sees more tokens used than the
    rate gives in it, the burst, and ``JITTER`` of the limit.
    """

    rate: float
    """Tokens a second."""
    capacity: float
    """Tokens that the bucket holds."""
    late: float
    """Seconds after its moment at which a token lapses."""
    ahead: float
    """Tokens that may be reserved before they are there."""

    @classmethod
    def of(cls, limit: RateLimit) -> Self:
        """Divide the burst: up to half of it is for what is late, the bucket holds the rest."""
        rate = limit.requests / limit.per.seconds
        jitter = min(LATEST, JITTER * limit.per.seconds)
        kept = min(limit.burst / 2, rate * (LATEST - jitter))
        return cls(rate, limit.burst - kept, jitter + kept / rate, max(1.0, rate * AHEAD))


class TokenBucket:
    """One process's view of a bucket; calls are served in the order in which they came."""

    def __init__(self, redis: Redis, job: JobName, limit: RateLimit, say: Say) -> None:
        """``say`` is told reason and message when the bucket has lost its state."""
        self._take = redis.register_script(_SCRIPTS.joinpath("rate_limit.lua").read_text())
        self._slow = redis.register_script(_SCRIPTS.joinpath("slow_down.lua").read_text())
        self._terms = Terms.of(limit)
        self._least = limit.adaptive.floor / 100
        self._recovery = max(0.001, limit.adaptive.recovery.seconds)
        self._key = (
            f"sluice:{{shared/{limit.shared}}}:bucket" if limit.shared else job.redis_key("bucket")
        )
        self._say = say
        self._hand = Hand()
        self._clock = ServerClock()
        self._asked_at = float("-inf")
        self._share = 1.0
        """What was left of the rate when Redis was asked."""
        self._until = 0.0
        """When the bucket's rest is over, as far as is known."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._serving: asyncio.Task[None] | None = None

    def rest(self, now: float) -> float:
        """Return the seconds, as far as is known, for which the bucket rests."""
        return max(0.0, self._until - now)

    async def acquire(self) -> None:
        """Take one token, waiting for it if need be."""
        now = time.monotonic()
        if not self._waiting and self._hand.take(now):
            metrics.TOKEN_WAIT.observe(0.0)
            if self._hand.is_low(now):
                self._serve_all()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._serve_all()
        with metrics.TOKEN_WAIT.time():
            await turn

    async def slow_down(self, *, rest: float, lower: bool) -> None:
        """Rest the bucket and lower its rate, for all that use it."""
        self._rest(rest)
        arguments = [BACK_OFF if lower else 1, self._least, self._recovery, int(rest * 1000)]
        await self._ask(self._slow, arguments)

    def _rest(self, seconds: float) -> None:
        self._hand.clear()
        self._until = max(self._until, time.monotonic() + seconds)

    def _serve_all(self) -> None:
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
            self._serving.add_done_callback(self._served)

    async def _serve(self) -> None:
        """Take tokens until nobody waits."""
        while True:
            if self._hand.is_low(time.monotonic()):
                await self._lease()
            wait = self._hand_out()
            if not self._waiting:
                return
            await asyncio.sleep(wait)

    def _served(self, serving: asyncio.Task[None]) -> None:
        """Tell those who wait why they wait in vain, if so."""
        error = None if serving.cancelled() else serving.exception()
        while error is not None and self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(error)

    def _hand_out(self) -> float:
        """Give tokens to those who wait, in order; return the seconds until there are more."""
        while self._waiting:
            now = time.monotonic()
            if not self._waiting[0].done() and not self._hand.take(now):
                return self._hand.wait(now) or 0.0
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        return 0.0

    async def _lease(self) -> None:
        """Take as many tokens as are waited for, or as are likely to be used in time."""
        if rest := self.rest(time.monotonic()):
            await asyncio.sleep(rest)
        terms, now = self._terms, time.monotonic()
        arguments = [
            *(terms.rate, terms.capacity, self._wanted(now), terms.ahead, self._recovery),
            *(self._remembered(now), LASTING),
        ]
        answer = await self._ask(self._take, arguments)
        granted, held, share, wait, rest_left, fresh, part, lasts, at = map(float, answer)
        if fresh and now - self._asked_at < REMEMBERED:
            self._say("RateLimitForgotten", "Redis lost the rate limit's bucket: it begins empty")
        if part < 1:
            self._say(
                "RateLimitDiffers",
                f"others of this budget, such as a job with the same rateLimit.shared, allow"
                f" {terms.rate * part:g} requests a second, this job {terms.rate:g}: the lowest"
                " holds for all; give all of them the same",
            )
        granted_at = self._clock.between(at, now, time.monotonic())
        self._asked_at, self._share, pace = now, share, terms.rate * part * share
        if rest_left:
            self._rest(rest_left / 1000)
        elif not granted:
            # What comes meanwhile can be reserved afterwards: to ask at once would gain nothing.
            # In step with others, a process would always come after the same ones.
            await asyncio.sleep(max(wait / 1000, AHEAD * random.random()))  # noqa: S311
        self._hand.add(Lease(int(granted), held, pace, terms.late, bool(lasts), *granted_at))

    def _wanted(self, now: float) -> int:
        """Return how many wait, or what a tenth of a second takes; it grows slowly."""
        since = max(0.001, now - self._asked_at)
        likely = int(self._hand.used * min(2.0, AHEAD / 2 / since))
        return max(1, min(max(len(self._waiting), likely), int(self._terms.rate * AHEAD)))

    def _remembered(self, now: float) -> float:
        """Return the share of the rate that Redis would tell if it had not lost it."""
        return min(1.0, self._share + max(0.0, now - self._asked_at) / self._recovery)

    async def _ask(self, script: Any, arguments: list[float]) -> Any:
        try:
            return await script(keys=[self._key], args=arguments)
        except (RedisError, OSError) as error:
            raise DependencyError(
                "RedisUnreachable", f"the rate limit's bucket: {error}: nothing is sent without it"
            ) from error
