"""The rate limit of a job, or of all jobs that share one: a token bucket in Redis.

Tokens are taken in small leases, so that Redis is asked less than once per request. What a process
has not used of a lease when it expires is lost: it never adds to a later burst. A process without
tokens sends nothing.
"""

import asyncio
import time
from importlib.resources import files
from typing import Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_api.source import RateLimit

LEASE: Final = 0.5
"""Seconds for which tokens that were taken may be used."""
SHARE: Final = 0.05
"""Seconds' worth of tokens that one lease takes at the most."""
_SCRIPT: Final = files("sluice_workers.fetch").joinpath("rate_limit.lua").read_text()


class Limiter(Protocol):
    """Lets requests start."""

    async def acquire(self) -> None:
        """Return when one request may start. Raises ``DependencyError``; then none may."""


class Unlimited:
    """The limiter of a job without a rate limit."""

    async def acquire(self) -> None:
        """Return at once."""


class TokenBucket:
    """One process's view of a bucket; calls are served in the order in which they came."""

    def __init__(self, redis: Redis, job: JobName, limit: RateLimit) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._rate = limit.requests / limit.per.seconds
        self._burst = limit.burst
        self._key = (
            f"sluice:{{shared/{limit.shared}}}:bucket" if limit.shared else job.redis_key("bucket")
        )
        self._tokens = 0
        self._expires = 0.0
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Take one token, waiting for it if need be."""
        self._waiting += 1
        try:
            async with self._turn:
                while not self._usable():
                    await self._lease()
                self._tokens -= 1
        finally:
            self._waiting -= 1

    def _usable(self) -> bool:
        return self._tokens > 0 and time.monotonic() < self._expires

    async def _lease(self) -> None:
        most = max(1, min(self._burst, int(self._rate * SHARE)))
        wanted = min(self._waiting, most)
        asked = time.monotonic()
        try:
            granted, wait = await self._script(
                keys=[self._key], args=[self._rate, self._burst, wanted]
            )
        except (RedisError, OSError) as error:
            raise DependencyError(
                "RedisUnreachable", f"the rate limit's bucket: {error}: nothing is sent without it"
            ) from error
        self._tokens, self._expires = int(granted), asked + LEASE
        if not granted:
            await asyncio.sleep(int(wait) / 1000)
