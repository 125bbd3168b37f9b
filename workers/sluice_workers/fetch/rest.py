"""The rest of a job without a rate limit: what its API asks one process, all of them do.

Redis only tells the others. A process that cannot ask it goes on, for there is no budget to keep.
"""

import asyncio
import time
from importlib.resources import files
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName

LOOK: Final = 1.0
"""Seconds between two looks at what other processes were asked."""


class SharedRest:
    """One process's view of the rest; a ``Limiter`` that limits nothing else."""

    def __init__(self, redis: Redis, job: JobName) -> None:
        script = files("sluice_workers.fetch").joinpath("rest.lua").read_text()
        self._lengthen = redis.register_script(script)
        self._redis = redis
        self._key = job.redis_key("rest")
        self._until = 0.0
        self._look_at = 0.0

    def rest(self, now: float) -> float:
        """Return the seconds left of the rest, as far as is known."""
        return max(0.0, self._until - now)

    async def acquire(self) -> None:
        """Return at once, or after the rest."""
        while True:
            now = time.monotonic()
            if now >= self._look_at:
                self._look_at = now + LOOK
                await self._look()
            if not (rest := self.rest(time.monotonic())):
                return
            await asyncio.sleep(rest)

    async def slow_down(self, *, rest: float, lower: bool) -> None:  # noqa: ARG002  no rate to lower
        """Rest, and have the other processes rest. Raises ``DependencyError``."""
        until = time.monotonic() + rest
        if until <= self._until:
            return
        self._until = until
        try:
            await self._lengthen(keys=[self._key], args=[int(rest * 1000)])
        except (RedisError, OSError) as error:
            raise DependencyError(
                "RedisUnreachable", f"the rest that the API asked for: {error}: one process rests"
            ) from error

    async def _look(self) -> None:
        try:
            left = await self._redis.pttl(self._key)
        except (RedisError, OSError):
            return
        self._until = max(self._until, time.monotonic() + left / 1000)
