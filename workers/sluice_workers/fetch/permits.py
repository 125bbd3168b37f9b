"""Permits for open connections, leased in Redis to each process of a job.

A permit belongs to a connection as long as that is open, idle ones included. A lease ends by
itself, so what a killed process held comes back; a process that cannot renew its lease closes its
connections before the lease ends. A Redis that lost everything learns it again from the renewals. A
process that was frozen for longer than its lease is the exception: its connections may live on
beside those of its successors until it wakes.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError

LEASE: Final = 10.0
"""Seconds that a lease lasts, by Redis's clock."""
MARGIN: Final = 3.0
"""Seconds before that end at which all connections are closed."""
ROUND: Final = 15.0
"""Seconds after which what cannot be divided evenly goes to others."""
SETTLE: Final = LEASE - MARGIN
"""Seconds for which a Redis that lost all leases grants nothing new: by then all who had one have
renewed it, or closed their connections."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process wants of one bound."""

    name: str
    cap: int
    """Connections that all processes may have open together."""
    wanted: int
    """Connections that this one could use."""
    claimed: int
    """Connections that it has open, or might open before it is answered."""


class Permits:
    """One process's lease."""

    def __init__(self, redis: Redis, key: str, holder: str) -> None:
        """``key`` names the bounds' hash, ``holder`` this process among all that use them."""
        script = files("sluice_workers.fetch").joinpath("permits.lua").read_text()
        self._script = redis.register_script(script)
        self._key = key
        self._holder = holder
        self._ends = 0.0

    def ended(self, now: float) -> bool:
        """Whether nothing may be open any more; ``now`` is monotonic seconds."""
        return now >= self._ends

    async def renew(self, asks: Sequence[Ask]) -> tuple[int, ...]:
        """Return how many connections of each bound may be used; no asks end the lease.

        Raises ``DependencyError``.
        """
        wants = json.dumps([[ask.name, ask.cap, ask.wanted, ask.claimed] for ask in asks])
        sent = time.monotonic()
        # Whose lease goes on knows that there are leases, whatever Redis says; and where its own
        # has ended, those of others may not have.
        goes_on = not self.ended(sent)
        known = 2 if goes_on else int(self._ends > 0)
        times = (int(LEASE * 1000), int(ROUND * 1000), int(SETTLE * 1000))
        arguments: list[str | int] = [self._holder, *times, known, wants]
        try:
            # Whoever waits for longer than the lease closes nothing when it ends.
            async with asyncio.timeout(self._ends - sent if goes_on else LEASE - MARGIN):
                granted = await self._script(keys=[self._key], args=arguments)
        except (RedisError, OSError) as error:
            raise DependencyError(
                "RedisUnreachable",
                f"the permits of connections: {error}: none is opened without them",
            ) from error
        self._ends = sent + LEASE - MARGIN
        return tuple(map(int, granted))
