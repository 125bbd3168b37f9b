"""The connection to the sink: one a process, and the transaction that commits a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from sluice_api.errors import DependencyError
from sluice_api.sink import PostgresSink
from sluice_workers.write import offsets
from sluice_workers.write.merge import BUFFER, statements
from sluice_workers.write.offsets import FencedError, Owner, Position
from sluice_workers.write.row import Row, bookkeeping_column

CONNECT_TIMEOUT: Final = 10.0
"""Seconds that the database has to accept a connection."""
_SESSION: Final = {
    "statement_timeout": "60s",
    # A writer that stalls between its last statement and COMMIT holds locks that its successor
    # waits for: the server ends it.
    "idle_in_transaction_session_timeout": "10s",
    "synchronous_commit": "on",
}

Connection = asyncpg.Connection  # subscripted only in annotations: it is no generic at run time

RETRIED: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""The whole batch again, at once."""
BAD_DATA: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    ValueError,
    TypeError,
    OverflowError,
)
"""A row of the batch is wrong, as Postgres says or asyncpg while it encodes: it is looked for."""


class Sink:
    """A session of the sink's database."""

    def __init__(self, connection: "Connection[asyncpg.Record]", sink: PostgresSink) -> None:
        self._connection = connection
        self._sql = statements(sink)
        self._columns = [*sink.columns, bookkeeping_column(sink)]

    async def close(self) -> None:
        """End the session at once: what was not committed is not."""
        self._connection.terminate()

    async def claim(self, owner: Owner, starts: Mapping[int, int]) -> dict[int, Position]:
        """Claim partitions. Raises ``DependencyError``."""
        try:
            async with self._connection.transaction():
                return await offsets.claim(self._connection, owner, starts)
        except _FAILURES as error:
            raise failure(error) from error

    async def commit(
        self,
        rows: Sequence[Row],
        owner: Owner,
        positions: Mapping[int, Position],
        ends: Mapping[int, int],
    ) -> None:
        """Commit rows and offsets in one transaction: COPY, merge, and last the offsets.

        Raises ``FencedError`` when a partition has a newer owner, asyncpg's errors of ``RETRIED``
        and ``BAD_DATA``, and ``DependencyError`` for the rest: then only a new claim tells whether
        it was committed.
        """
        try:
            async with self._connection.transaction():
                if rows:
                    await self._connection.copy_records_to_table(
                        BUFFER, records=rows, columns=self._columns
                    )
                    await self._connection.execute(self._sql.merge)
                await offsets.advance(self._connection, owner, positions, ends)
        except (*RETRIED, *BAD_DATA, FencedError):
            raise
        except _FAILURES as error:
            raise failure(error) from error


async def connect(uri: str, sink: PostgresSink, application: str) -> Sink:
    """Open a session and make its buffer. Raises ``DependencyError``."""
    try:
        connection = await asyncpg.connect(
            uri,
            timeout=CONNECT_TIMEOUT,
            server_settings=_SESSION | {"application_name": application[:63]},
        )
    except _FAILURES as error:
        raise failure(error) from error
    try:
        # The text codec of jsonb would break binary COPY.
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_jsonb, decoder=bytes, format="binary"
        )
        await connection.execute(statements(sink).create_buffer)
    except _FAILURES as error:
        connection.terminate()
        raise failure(error) from error
    return Sink(connection, sink)


_FAILURES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    ValueError,
)


def _jsonb(value: bytes) -> bytes:
    """Encode jsonb's binary form: the number of its version, then the JSON."""
    return b"\x01" + value


def failure(error: Exception) -> DependencyError:
    """Tell what a failure of the database means for the job, and what to do about it."""
    text = str(error).partition("\n")[0] or type(error).__name__
    match error:
        case asyncpg.InsufficientPrivilegeError():
            return DependencyError("PermissionDenied", f"the sink's user may not: {text}: grant it")
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return DependencyError("TableMismatch", f"the sink's table does not fit: {text}")
        case asyncpg.InvalidAuthorizationSpecificationError():
            return DependencyError("AuthenticationFailed", f"the sink's database refuses: {text}")
        case asyncpg.SyntaxOrAccessError():
            return DependencyError("TableMismatch", f"the sink's database refuses: {text}")
        case ValueError():
            # What a URI that cannot be parsed says of itself may be a part of its password.
            return DependencyError(
                "InvalidUri",
                "the sink's URI cannot be read: it must be postgresql://user:password@host/database"
                " with special characters percent-encoded",
            )
        case _:
            return DependencyError(
                "DatabaseUnreachable", f"the sink's database does not answer: {text}"
            )


def refusal(error: Exception) -> str:
    """Tell why Postgres refused a row, in its own words."""
    detail: Any = getattr(error, "detail", None)
    text = str(error).partition("\n")[0]
    return f"{text} ({detail})" if detail else text
