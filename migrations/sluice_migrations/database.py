"""Connections for migrations: SQLAlchemy's engine over asyncpg, from the URI that users give."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Final, TypeVar
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from sluice_api.errors import ConfigurationError, DependencyError

TIMEOUT: Final = 15.0
"""Seconds that the database has to accept a connection."""
_IN_USE: Final = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected."""
Found = TypeVar("Found")


def engine(uri: str) -> AsyncEngine:
    """Return an engine for a postgresql:// URI; asyncpg itself reads all of the URI.

    Raises ``ConfigurationError`` that repeats nothing of the URI, since it holds a password.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ConfigurationError(
            f"the sink's URI must begin with postgresql://, found {parts.scheme or 'no scheme'}"
        )

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        # A user called sluice would otherwise have the schema of that name as the default one, and
        # Alembic compares a default schema as if it had no name.
        return await asyncpg.connect(
            uri, timeout=TIMEOUT, server_settings={"search_path": "public"}
        )

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


async def within(uri: str, work: Callable[[Connection], Found]) -> Found:
    """Run synchronous work in one transaction.

    Raises ``DependencyError`` or ``ConfigurationError`` with the database's own words.
    """
    found = engine(uri)
    try:
        async with aclosing(await _connected(found)) as connection, connection.begin():
            return await connection.run_sync(work)
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError) as error:
        raise DependencyError(
            "DatabaseUnreachable", f"the sink's database does not answer: {error}"
        ) from error
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        text = str(getattr(error, "orig", None) or error).partition("\n")[0]
        if getattr(getattr(error, "orig", error), "sqlstate", None) in _IN_USE:
            raise DependencyError(
                "TableInUse", f"another session holds what the migration needs: {text}"
            ) from error
        raise ConfigurationError(f"the sink's database refuses: {text}") from error
    finally:
        await found.dispose()


async def _connected(found: AsyncEngine) -> AsyncConnection:
    try:
        return await found.connect()
    except ValueError:
        # What a URI that cannot be parsed says of itself may be a part of its password.
        raise ConfigurationError(
            "the sink's URI cannot be read: it must be postgresql://user:password@host/database"
            " with special characters percent-encoded"
        ) from None
