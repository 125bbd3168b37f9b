"""Ways into Postgres from rows in memory, each a process: ``loads WAY SHAPE SIZE COUNT``.

Prints the seconds of loading into an empty table, and of loading the same again, as JSON.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
import uvloop

from sluice_api.sink import PostgresSink
from sluice_benchmarks.records import rows, sink
from sluice_workers.write.merge import statements
from sluice_workers.write.row import Row

Connection = asyncpg.Connection  # subscripted only in annotations: it is no generic at run time
Load = Callable[[Sequence[Row]], Awaitable[object]]


async def ceiling(connection: "Connection[asyncpg.Record]", table: PostgresSink) -> Load:
    """COPY into a buffer and one merge, in one transaction a batch."""
    sql = statements(table, ())
    await connection.execute(sql.create_buffer)
    names = [*table.columns, table.version_column]

    async def load(batch: Sequence[Row]) -> None:
        async with connection.transaction():
            await connection.copy_records_to_table(sql.buffer, records=batch, columns=names)
            await connection.execute(sql.merge)

    return load


async def executemany(connection: "Connection[asyncpg.Record]", table: PostgresSink) -> Load:
    """One upsert a row, pipelined by asyncpg, in one transaction a batch."""
    names = [*table.columns, table.version_column]
    values = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    merge = statements(table, ()).merge
    head, conflict = merge[: merge.index(" SELECT ")], merge[merge.index(" ON CONFLICT ") :]
    upsert = f"{head} VALUES ({values}){conflict}"

    async def load(batch: Sequence[Row]) -> None:
        async with connection.transaction():
            await connection.executemany(upsert, batch)

    return load


WAYS: Final = {"ceiling": ceiling, "executemany": executemany}


async def main(way: str, shape: str, size: int, count: int) -> None:
    """Load ``count`` rows twice, in batches of ``size``."""
    found = rows(shape, count)
    batches = [found[start : start + size] for start in range(0, count, size)]
    gc.freeze()  # the collector is not to go through these rows again and again
    connection = await asyncpg.connect(os.environ["SLUICE_BENCH_POSTGRES"])
    load = await WAYS[way](connection, sink(shape, os.environ["SLUICE_BENCH_TABLE"]))
    before, seconds = _cpu(), []
    for _ in range(2):
        started = time.monotonic()
        for batch in batches:
            await load(batch)
        seconds.append(time.monotonic() - started)
    await connection.close()
    print(json.dumps({"seconds": seconds, "cpu": (_cpu() - before) / 2}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
