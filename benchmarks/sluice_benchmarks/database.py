"""A database of the benchmark's own, on the Postgres that the environment names."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from sluice_benchmarks.records import sink
from sluice_migrations import environment, target
from sluice_migrations.database import within

Connection = asyncpg.Connection  # subscripted only in annotations: it is no generic at run time
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Database:
    """Where the rows go."""

    uri: str

    def fetch(self, query: str, *values: object) -> Any:
        """Return the one value of a query."""
        return self._within(lambda connection: connection.fetchval(query, *values))

    def make(self, shape: str, table: str) -> None:
        """Make an empty table for records of a shape, and let the disk come to rest."""

        def prepare(connection: Any) -> None:
            environment.upgrade(connection)
            target.prepare(connection, sink(shape, table))

        asyncio.run(within(self.uri, prepare))
        self.fetch("CHECKPOINT")

    def delay_commits(self, microseconds: int) -> None:
        """Let each COMMIT of later sessions take so much longer; 0 is none. A superuser may."""
        name = self.uri.rpartition("/")[2]
        self.fetch(f"ALTER DATABASE {name} SET commit_siblings = 0")
        self.fetch(f"ALTER DATABASE {name} SET commit_delay = {microseconds}")

    def drop(self, table: str) -> None:
        """Drop a table."""
        self.fetch(f"DROP TABLE {table}")

    def _within(self, work: Callable[["Connection[asyncpg.Record]"], Awaitable[Found]]) -> Found:
        async def run() -> Found:
            connection = await asyncpg.connect(self.uri)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())


@contextmanager
def database() -> Iterator[Database]:
    """Create a database, and drop it afterwards. Raises ``RuntimeError`` when fsync is off."""
    server = Database(os.environ["SLUICE_TEST_POSTGRES"])
    if server.fetch("SHOW fsync") != "on" or server.fetch("SHOW synchronous_commit") != "on":
        raise RuntimeError("Postgres does not wait for its disk: the figures would say nothing")
    name = f"bench_{uuid.uuid4().hex[:8]}"
    server.fetch(f"CREATE DATABASE {name}")
    try:
        yield Database(server.uri.rpartition("/")[0] + f"/{name}")
    finally:
        server.fetch(f"DROP DATABASE {name} WITH (FORCE)")
