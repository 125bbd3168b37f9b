"""A job's Redis, as the operator needs it: opened for a question, and closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers.redis_client import UNREADABLE

TIMEOUT: Final = 3.0
"""Seconds that Redis has for one answer."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    """Open a client, and close it afterwards.

    Raises ``ConfigurationError`` for a URL that cannot be read, and ``DependencyError`` for
    whatever fails inside because Redis does.
    """
    try:
        client = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    except ValueError:
        # What is wrong with it may be told by a part of its password.
        raise ConfigurationError(UNREADABLE) from None
    try:
        yield client
    except (RedisError, OSError) as error:
        raise DependencyError("RedisUnreachable", f"Redis does not answer: {error}") from error
    finally:
        await client.aclose()
