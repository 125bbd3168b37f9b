"""A session of the sink's database, and the transaction that commits rows with their offsets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from sluice_api.sink import PostgresSink
from sluice_workers.write import exchange, offsets, record_ids
from sluice_workers.write.database import Connection
from sluice_workers.write.merge import (
    BEGIN,
    CHECK,
    DEFER,
    SHAPE,
    Statements,
    buffer_columns,
    statements,
)
from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.pool import Pool
from sluice_workers.write.refusal import ERRORS, Kind, failure, kind
from sluice_workers.write.row import Row
from sluice_workers.write.stall import watched

FEW: Final = 100
"""Rows that are deleted from the buffer sooner than it gets a new file, which TRUNCATE makes."""
AWAKE: Final = 2.0
"""Seconds between two statements of a transaction that waits: it is ended after ten."""


class Transaction:
    """One transaction: rows first, last the offsets."""

    def __init__(
        self,
        connection: "Connection[asyncpg.Record]",
        sink: PostgresSink,
        sql: Statements,
        owner: Owner,
        *,
        direct: bool,
    ) -> None:
        self.connection = connection
        self._sink = sink
        self._arguments = record_ids.arguments(sink, owner)
        self._columns = list(buffer_columns(sink))
        self._schema, self._table = sink.place
        self._sql = sql
        self._direct = direct

    async def write(self, rows: Sequence[Row]) -> None:
        """Write rows, at most one for each identity.

        They are merged, unless the transaction began to insert them: then COPY takes them right
        into the table, and fails when one of them is there already.
        """
        if self._direct:
            await self.connection.copy_records_to_table(
                self._table, schema_name=self._schema, records=rows, columns=self._columns
            )
        else:
            await self._copy(rows)
            await self.connection.execute(self._sql.merge, *self._arguments)

    async def _copy(self, rows: Sequence[Row]) -> None:
        await self.connection.copy_records_to_table(
            self._sql.buffer, schema_name="pg_temp", records=rows, columns=self._columns
        )

    async def attempt(self, rows: Sequence[Row]) -> Exception | None:
        """Merge rows within a savepoint; return the error when one of them is refused.

        What goes together is sent together: a search makes this many times.
        """
        sql = self._sql
        emptied = sql.empty_of_few if len(rows) < FEW else sql.empty_buffer
        done = f"{CHECK}; {emptied}; RELEASE SAVEPOINT tried"
        try:
            await self.connection.execute(f"SAVEPOINT tried; {DEFER}")
            await self._copy(rows)
            if self._arguments:
                await self.connection.execute(sql.merge, *self._arguments)
            await self.connection.execute(done if self._arguments else f"{sql.merge}; {done}")
        except ERRORS as error:
            if kind(error) is not Kind.RECORD:
                raise
            await self.connection.execute("ROLLBACK TO SAVEPOINT tried; RELEASE SAVEPOINT tried")
            return error
        return None

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Keep the transaction from being idle for too long while something else is waited for."""
        done = asyncio.Event()
        waiting = asyncio.create_task(self._stay_awake(done))
        try:
            yield
        finally:
            done.set()  # A statement that is broken off would end the transaction.
            await waiting

    async def _stay_awake(self, done: asyncio.Event) -> None:
        while not done.is_set():
            try:
                async with asyncio.timeout(AWAKE):
                    await done.wait()
            except TimeoutError:
                await self.connection.execute("SELECT 1")

    async def exchange(self, rows: Sequence[Row], merged: Callable[[], Awaitable[bool]]) -> None:
        """Have rows step aside and be merged, or undo all of it unless ``merged`` says they are.

        ``rows`` has one for each identity. Raises what asyncpg raises.
        """
        await self.connection.execute("SAVEPOINT aside")
        done = False
        try:
            done = await self._step_aside(rows) and await merged()
        finally:
            undone = "" if done else "ROLLBACK TO SAVEPOINT aside; "
            await self.connection.execute(f"{undone}RELEASE SAVEPOINT aside")

    async def _step_aside(self, rows: Sequence[Row]) -> bool:
        """Have rows of the table step aside; say whether there are columns by which they can."""
        table = self._sink.quoted_table
        names = exchange.candidates(self._sink)
        found = await self.connection.fetch(exchange.COLUMNS, table, names)
        columns = [row["attname"] for row in found]
        if columns:
            buffer = f"pg_temp.{self._sql.buffer}"
            await self._copy(rows)
            await self.connection.execute(exchange.step_aside(self._sink, columns, table, buffer))
            await self.connection.execute(self._sql.empty_buffer)
        return bool(columns)

    async def advance(
        self, owner: Owner, positions: Mapping[int, Position], ends: Mapping[int, int]
    ) -> None:
        """Move the offsets, as the last statement. Raises ``FencedError``.

        Constraints are checked before, so that COMMIT has nothing left to refuse.
        """
        await offsets.advance(self.connection, owner, positions, ends, first=CHECK)


class Session:
    """Transactions in the sink's database, through as many connections as they need at a time."""

    def __init__(self, pool: Pool, sink: PostgresSink, application: str) -> None:
        self._pool = pool
        self._sink = sink
        self._application = application
        self._statements: Statements | None = None
        self._looking = asyncio.Lock()
        """Held while a connection looks what transactions wait for."""

    async def close(self) -> None:
        """End the session at once: what was not committed is not."""
        self._pool.close()

    async def claim(self, owner: Owner, starts: Mapping[int, int]) -> dict[int, Position]:
        """Claim partitions. Raises ``DependencyError``."""
        try:
            async with self.begun() as connection:
                return await offsets.claim(connection, owner, starts)
        except ERRORS as error:
            raise failure(error) from error

    async def known(self, owner: Owner, partitions: Sequence[int]) -> dict[int, int]:
        """Return the next offsets of the partitions that were ever claimed.

        Raises ``DependencyError``.
        """
        try:
            async with self.begun() as connection:
                return await offsets.known(connection, owner, partitions)
        except ERRORS as error:
            raise failure(error) from error

    def look_again(self) -> None:
        """Forget what the table looked like."""
        self._statements = None

    @asynccontextmanager
    async def transaction(
        self, owner: Owner, *, insert: bool = False
    ) -> AsyncIterator[Transaction]:
        """Begin a transaction for an owner, and commit it. Raises what asyncpg raises.

        Rows are inserted if that is asked for and the table's types allow it, else merged.
        """
        sql = self._statements or await self._look()
        direct = insert and sql.direct
        async with self.begun(sql.mergeable if direct else sql.create_buffer) as connection:
            yield Transaction(connection, self._sink, sql, owner, direct=direct)

    async def _look(self) -> Statements:
        async with self.begun() as connection:
            shape = await connection.fetch(SHAPE, self._sink.quoted_table)
        self._statements = statements(self._sink, [tuple(row) for row in shape])
        return self._statements

    @asynccontextmanager
    async def begun(self, first: str = "") -> AsyncIterator["Connection[asyncpg.Record]"]:
        """Begin a transaction, with a statement if need be, and commit it.

        Raises what asyncpg raises.
        """
        async with (
            self._pool.connection() as connection,
            watched(self._pool.connect, self._application, self._looking),
        ):
            # By hand, for what goes together is sent together.
            try:
                await connection.execute(f"{BEGIN}; {first}")
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                await _roll_back(connection)
                raise


async def _roll_back(connection: "Connection[asyncpg.Record]") -> None:
    """Leave a transaction; a connection that cannot is ended, for what broke it is told."""
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException as error:
        connection.terminate()
        if not isinstance(error, ERRORS):
            raise
