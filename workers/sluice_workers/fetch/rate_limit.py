"""The rate limit of a job, or of all jobs that share one: a token bucket in Redis.

Tokens are taken in small leases, so that Redis is asked far less than once per request. A lease may
reach a little into the future: each of its tokens has a moment of its own, before which it is not
used, so that many processes together keep the pace of one. A process without tokens sends nothing,
and what it has not used of a lease when that expires is lost.

An answer 429 multiplies the rate by ``BACK_OFF``, at the most once a second; from there it grows
evenly, and is whole after ``recovery``. A cooldown that the API asked for rests the whole bucket.
"""

import asyncio
import time
from collections import deque
from importlib.resources import files
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_api.source import RateLimit

LEASE: Final = 0.5
"""Seconds for which a token may be used from its moment on."""
AHEAD: Final = 0.05
"""Seconds' worth of tokens that may be reserved ahead, and that one lease takes at the most."""
BACK_OFF: Final = 0.7
"""What is left of the rate after a 429."""
_SCRIPTS: Final = files("sluice_workers.fetch")


class Limiter(Protocol):
    """Lets requests start."""

    async def acquire(self) -> None:
        """Return when one request may start. Raises ``DependencyError``; then none may."""

    async def slow_down(self, *, rest: float, lower: bool) -> None:
        """Start nothing for ``rest`` seconds, then less. Raises ``DependencyError``."""


class Unlimited:
    """The limiter of a job without a rate limit: one process rests when its API asks for it."""

    def __init__(self) -> None:
        self._until = 0.0

    async def acquire(self) -> None:
        """Return at once, or after the rest."""
        while (rest := self._until - time.monotonic()) > 0:
            await asyncio.sleep(rest)

    async def slow_down(self, *, rest: float, lower: bool) -> None:  # noqa: ARG002  no rate to lower
        """Rest."""
        self._until = max(self._until, time.monotonic() + rest)


class TokenBucket:
    """One process's view of a bucket; calls are served in the order in which they came."""

    def __init__(self, redis: Redis, job: JobName, limit: RateLimit) -> None:
        self._take = redis.register_script(_SCRIPTS.joinpath("rate_limit.lua").read_text())
        self._slow = redis.register_script(_SCRIPTS.joinpath("slow_down.lua").read_text())
        self._rate = limit.requests / limit.per.seconds
        self._burst = limit.burst
        self._least = limit.adaptive.floor / 100
        self._recovery = max(0.001, limit.adaptive.recovery.seconds)
        self._key = (
            f"sluice:{{shared/{limit.shared}}}:bucket" if limit.shared else job.redis_key("bucket")
        )
        self._ahead = max(1.0, self._rate * AHEAD)
        self._moments: deque[float] = deque()
        """When each token of the lease may be used, monotonic seconds."""
        self._appetite = 1
        self._leased_at = 0.0
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Take one token, waiting for it if need be."""
        self._waiting += 1
        try:
            async with self._turn:
                await self._token()
        finally:
            self._waiting -= 1

    async def slow_down(self, *, rest: float, lower: bool) -> None:
        """Rest the bucket and lower its rate, for all that use it."""
        self._moments.clear()
        arguments = [BACK_OFF if lower else 1, self._least, self._recovery, int(rest * 1000)]
        await self._ask(self._slow, arguments)

    async def _token(self) -> None:
        while True:
            while self._moments:
                moment = self._moments.popleft()
                early = moment - time.monotonic()
                if early > 0:
                    await asyncio.sleep(early)
                if early > -LEASE:
                    return
            await self._lease()

    async def _lease(self) -> None:
        """Take as many tokens as are waited for, or as were used up quickly before."""
        now = time.monotonic()
        quick = now - self._leased_at < AHEAD
        self._appetite = self._appetite * 2 if quick else max(1, self._appetite // 2)
        self._leased_at = now
        most = max(1, int(self._rate * AHEAD))
        self._appetite = min(self._appetite, most)
        wanted = min(max(self._waiting, self._appetite), most)
        arguments = [self._rate, self._burst, wanted, self._ahead, self._recovery]
        granted, held, rate, wait = await self._ask(self._take, arguments)
        if not granted:
            await asyncio.sleep(int(wait) / 1000)
            return
        begin = time.monotonic()
        for number in range(1, int(granted) + 1):
            self._moments.append(begin + max(0.0, number - float(held)) / float(rate))

    async def _ask(self, script: Any, arguments: list[float]) -> Any:
        try:
            return await script(keys=[self._key], args=arguments)
        except (RedisError, OSError) as error:
            raise DependencyError(
                "RedisUnreachable", f"the rate limit's bucket: {error}: nothing is sent without it"
            ) from error
