"""One merger at a time for a table that several jobs share: a lock in Redis that only coordinates.

Nothing depends on it: the locks of slices decide who merges what, and rows are locked in the order
of their keys. Without Redis, or behind a holder that does not end, mergers go on side by side.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import LockError, RedisError

HELD: Final = 30.0
"""Seconds after which a turn is over although nobody gave it back."""
PATIENCE: Final = 5.0
"""Seconds that a merger waits for its turn."""
POLL: Final = 0.02
"""Seconds between two tries."""
_LOG: Final = logging.getLogger(__name__)


class Turns:
    """The turns of one table."""

    def __init__(self, redis: Redis, uri: str, table: str) -> None:
        self._redis = redis
        # Jobs may reach one server by several names; where two have such a database, they wait.
        self._name = f"sluice:merge:{{{urlsplit(uri).path.strip('/')}/{table}}}"

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, but not for long."""
        lock = self._redis.lock(self._name, timeout=HELD, sleep=POLL, blocking_timeout=PATIENCE)
        held = False
        try:
            held = await lock.acquire()
        except (RedisError, OSError) as error:
            _LOG.info("merging without a turn: %s", error)
        try:
            yield
        finally:
            if held:
                try:
                    await lock.release()
                except (LockError, RedisError, OSError) as error:
                    _LOG.info("the turn was over before the merge: %s", error)
