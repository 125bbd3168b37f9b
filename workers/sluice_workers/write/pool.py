"""A writer's connections: one, and a second one while the first waits at a COMMIT."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers.write.database import Connection
from sluice_workers.write.refusal import first_line

MOST: Final = 2
"""Connections of a writer to its sink's database, but for the one that looks what it waits for."""
PATIENCE: Final = 1.0
"""Seconds that a second connection may take: the first one is idle again soon."""
ALONE: Final = 60.0
"""Seconds until a second connection is tried again that could not be had."""
_LOG: Final = logging.getLogger(__name__)


class Pool:
    """Opens connections when they are needed; what is given back is taken first.

    The writer can do with one: where the database refuses a second, it waits for the first.
    """

    def __init__(self, connect: Callable[[], Awaitable["Connection[asyncpg.Record]"]]) -> None:
        self.connect = connect
        """Opens one more, whoever needs it. Raises ``DependencyError``."""
        self._open: list[Connection[asyncpg.Record]] = []
        self._idle: asyncio.LifoQueue[Connection[asyncpg.Record]] = asyncio.LifoQueue()
        self._alone_until = 0.0
        """Until when, on a monotonic clock, no more than one is opened."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """Take a connection, waiting for one. Raises ``DependencyError`` when there is none."""
        connection = await self._take()
        try:
            yield connection
        finally:
            self._idle.put_nowait(connection)

    async def _take(self) -> "Connection[asyncpg.Record]":
        while True:
            if self._idle.empty() and self._may_add():
                await self._add()
            connection = await self._idle.get()
            if not connection.is_closed():
                return connection
            # Servers and poolers end those that were idle for long.
            self._open.remove(connection)

    def _may_add(self) -> bool:
        return not self._open or (len(self._open) < MOST and time.monotonic() >= self._alone_until)

    async def _add(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE if self._open else None):
                connection = await self.connect()
        except (ConfigurationError, DependencyError, TimeoutError) as error:
            if not self._open:
                raise
            _LOG.warning(
                "going on with one connection to the sink's database: %s", first_line(error)
            )
            self._alone_until = time.monotonic() + ALONE
            return
        self._open.append(connection)
        self._idle.put_nowait(connection)

    def close(self) -> None:
        """End all connections at once."""
        for connection in self._open:
            connection.terminate()
