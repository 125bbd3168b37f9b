"""Connections for migrations: SQLAlchemy's engine over asyncpg, from the URI that users give.

They work behind a pooler in transaction mode: nothing outlives a transaction, statements have no
names, and what must be set is set in the transaction itself.
"""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_migrations.certificates import refused

TIMEOUT: Final = 15.0
"""Seconds that the database has to accept a connection."""
_IN_USE: Final = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected."""
_THERE: Final = "42P07"
"""duplicate_table."""
Found = TypeVar("Found")


class Dialect(PGDialect_asyncpg):
    """SQLAlchemy's own, but for codecs that it would look up outside of any transaction."""

    supports_statement_cache = True

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        """Set the codec of json, by which the catalog tells of identity columns."""
        async with conn.driver_connection.transaction():
            await super().setup_asyncpg_json_codec(conn)  # type: ignore[no-untyped-call]

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        """Leave jsonb as it is: no migration reads any."""


registry.register("postgresql.sluice", __name__, Dialect.__name__)


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
        return await asyncpg.connect(uri, timeout=TIMEOUT, statement_cache_size=0)

    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    return create_async_engine(
        "postgresql+sluice://", async_creator=connect, connect_args=unnamed, poolclass=NullPool
    )


async def within(uri: str, work: Callable[[Connection], Found]) -> Found:
    """Run synchronous work in one transaction.

    Raises ``DependencyError`` or ``ConfigurationError`` with the database's own words.
    """
    found = engine(uri)
    try:
        async with aclosing(await _connected(found)) as connection, connection.begin():
            return await connection.run_sync(_in_public, work)
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.TargetServerAttributeNotMatched,
    ) as error:
        if unproven := refused(error):
            raise ConfigurationError(str(unproven)) from error
        raise DependencyError(
            "DatabaseUnreachable", f"the sink's database does not answer: {error}"
        ) from error
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        text, state = _words(getattr(error, "orig", None) or error)
        if state in _IN_USE:
            raise DependencyError(
                "TableInUse", f"another session holds what the migration needs: {text}"
            ) from error
        raise ConfigurationError(f"the sink's database refuses: {text}") from error
    finally:
        await found.dispose()


def _words(error: BaseException) -> tuple[str, str | None]:
    """Return what the database says of an error, with its detail, and the SQLSTATE."""
    text = str(error).partition("\n")[0]
    # SQLAlchemy wraps asyncpg's error, and leaves the detail behind.
    detail = getattr(error.__cause__ or error, "detail", None)
    state = getattr(error, "sqlstate", None)
    if state == _THERE:
        text += ": where it is as the newest revision makes it, `alembic stamp head` says so"
    return (f"{text} ({detail})" if detail else text), state


def _in_public(connection: Connection, work: Callable[[Connection], Found]) -> Found:
    """Work with ``public`` as the default schema, whoever the user is.

    One called sluice would otherwise have the schema of that name as the default one, and Alembic
    compares a default schema as if it had no name.
    """
    connection.dialect.default_schema_name = "public"
    connection.execute(text("SET LOCAL search_path = public"))
    return work(connection)


async def _connected(found: AsyncEngine) -> AsyncConnection:
    try:
        return await found.connect()
    except ValueError as error:
        if isinstance(error, OSError):
            raise  # a certificate that was refused is both
        # What a URI that cannot be parsed says of itself may be a part of its password.
        raise ConfigurationError(
            "the sink's URI cannot be read: it must be postgresql://user:password@host/database"
            " with special characters percent-encoded"
        ) from None
