"""Ends the backend of a writer that was stopped in the middle of a transaction others wait for.

A process that was frozen (SIGSTOP, a lost node) may hold locks where no timeout of the server
fires: in the middle of COPY it is the statement that waits, not the session. Who waits for it looks
through another connection, and ends it when it was seen to make no progress between two looks.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers.write.refusal import ERRORS, first_line

PATIENCE: Final = 2.0
"""Seconds that a transaction may take before anybody looks what it waits for."""
LOOK: Final = 1.0
"""Seconds between two looks."""
_LOG: Final = logging.getLogger(__name__)

_STALLED: Final = """
    SELECT DISTINCT holder.pid, holder.query_start, holder.state, copied.bytes_processed
    FROM pg_stat_activity AS waiting
    CROSS JOIN unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
    JOIN pg_stat_activity AS holder ON holder.pid = blocking.pid
    LEFT JOIN pg_stat_progress_copy AS copied ON copied.pid = holder.pid
    WHERE waiting.wait_event_type = 'Lock' AND waiting.application_name = $1
      AND waiting.datname = current_database() AND holder.application_name = $1
      AND holder.usename = current_user AND holder.wait_event = 'ClientRead'
"""
"""Writers of this job that wait for their own client while others of the job wait for them."""

Open = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]


@asynccontextmanager
async def watched(
    open_connection: Open, application: str, looking: asyncio.Lock
) -> AsyncIterator[None]:
    """Watch a transaction: when it takes long, end the stalled writers that it waits for.

    ``looking`` is held meanwhile: one look serves all transactions of a job.
    """
    watching = asyncio.create_task(_watch(open_connection, application, looking))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(open_connection: Open, application: str, looking: asyncio.Lock) -> None:
    await asyncio.sleep(PATIENCE)
    async with looking:
        connection = None
        try:
            connection = await open_connection()
            await _end_stalled(connection, application)
        except (ConfigurationError, DependencyError, *ERRORS) as error:
            _LOG.warning("cannot look what a transaction waits for: %s", first_line(error))
        finally:
            if connection is not None:
                connection.terminate()


async def _end_stalled(connection: "asyncpg.Connection[asyncpg.Record]", application: str) -> None:
    before: set[tuple[Any, ...]] = set()
    while True:
        async with connection.transaction():
            now = {tuple(row) for row in await connection.fetch(_STALLED, application)}
        for pid in {stalled[0] for stalled in before & now}:
            _LOG.warning("ending backend %s of a writer that makes no progress", pid)
            with suppress(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute("SELECT pg_terminate_backend($1)", pid)
        before = now
        await asyncio.sleep(LOOK)
