"""A job's Redis, by the URL of the mounted Secret, which may change."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.exceptions import ReadOnlyError, RedisError

from sluice_api.errors import ConfigurationError
from sluice_workers.settings import read_text
from sluice_workers.trouble import Say

CONNECTIONS: Final = 32
"""Connections that a process opens at the most."""
TIMEOUT: Final = 5
"""Seconds that Redis has for one answer, and for a connection."""
LOOK: Final = 1.0
"""Seconds between two looks at the Secret."""
UNREADABLE: Final = (
    "the URL of Redis must be redis://[user:password@]host[:port][/database], or rediss://"
)
_LOG: Final = logging.getLogger(__name__)


def read_url(folder: Path) -> str:
    """Read ``<folder>/redis/url``. Raises ``ConfigurationError``."""
    return read_text(folder / "redis" / "url").strip()


def connect(url: str) -> Redis:
    """Return a client that gives up on an answer after some seconds.

    Who finds all connections in use waits: thousands of items may be given up at one moment. A
    command whose connection breaks is sent once more. Raises ``ConfigurationError``.
    """
    return Redis.from_pool(_pool(url))


async def follow(redis: Redis, url: str, folder: Path, say: Say) -> None:
    """Lead a client that was made by ``url`` wherever the mounted Secret leads, for ever.

    What was asked before is answered where it was asked. ``say`` is told reason and message of
    what is wrong with the Secret; the URL before it serves meanwhile.
    """
    while True:
        await asyncio.sleep(LOOK)
        try:
            if (found := read_url(folder)) == url:
                continue
            before, redis.connection_pool = redis.connection_pool, _pool(found)
        except ConfigurationError as error:
            say("InvalidSecret", str(error))
            continue
        url = found
        _LOG.info("the URL of Redis has changed")
        await _leave(before)


def _pool(url: str) -> BlockingConnectionPool:
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # A server that was demoted keeps its connections: a new one leads to its successor.
            retry_on_error=[ReadOnlyError],
        )
    except ValueError:
        # What is wrong with it may be told by a part of its password.
        raise ConfigurationError(UNREADABLE) from None


async def _leave(pool: ConnectionPool) -> None:
    try:
        await asyncio.sleep(TIMEOUT)
    finally:
        with suppress(RedisError, OSError):
            await pool.disconnect()
