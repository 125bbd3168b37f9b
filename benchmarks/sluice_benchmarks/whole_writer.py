"""A whole writer under load: `sluice write` as in a pod, over records that are there already."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import asyncpg

from sluice_api.sink import PostgresSink
from sluice_api.spec import Batch, Compression
from sluice_benchmarks import together
from sluice_benchmarks.database import Database
from sluice_benchmarks.figures import Figures, watch
from sluice_benchmarks.job import Topics, broker, pod, write_folder
from sluice_benchmarks.records import message, sink
from sluice_workers.producer import Producer
from sluice_workers.settings import WriterSettings

WRITE: Final = ("sluice_cli", "write")
WRITTEN: Final = """
    SELECT coalesce(sum(next_offset), 0)
      - (SELECT coalesce(sum(records), 0) FROM sluice.buffer WHERE job_uid = '{0}')
    FROM sluice.offsets WHERE job_uid = '{0}'
"""
"""Records that are in the table, or refused: what is only buffered does not count."""
TIMEOUT: Final = 0.5
"""Seconds that a batch waits."""


@contextmanager
def configured(
    database: Database, topics: Topics, shape: str, size: int, into: PostgresSink
) -> Iterator[tuple[Path, str]]:
    """Yield a new job's folder and its uid. Batches hold ``size`` records, no less and no more."""
    uid = uuid.uuid4().hex[:8]
    settings = WriterSettings(
        namespace="benchmark",
        name=f"write-{uid}",
        uid=uid,
        records=topics.of[shape],
        partitions=topics.partitions,
        dead=topics.of["dead"],
        compression=Compression.ZSTD,
        sink=into,
        batch=Batch.model_validate(
            {"minSize": size, "maxSize": size, "timeout": f"{TIMEOUT * 1000:.0f}ms"}
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        content = settings.model_dump_json(by_alias=True)
        write_folder(Path(folder), {"settings/writer.json": content, "sink/uri": database.uri})
        yield Path(folder), uid


def load(
    database: Database, topics: Topics, shape: str, size: int, count: int, into: PostgresSink
) -> Figures:
    """Write the topic's first ``count`` records."""
    with configured(database, topics, shape, size, into) as (folder, uid):
        started = time.monotonic()
        with pod(folder, WRITE) as running:
            return watch(
                database.uri,
                WRITTEN.format(uid),
                count,
                lambda: [*running.loops(1), running.process.pid],
                started,
            )


def load_together(
    database: Database, topics: Topics, size: int, count: int, into: PostgresSink, pods: int
) -> Figures:
    """Write all ``count`` narrow records of the topic with so many pods (:mod:`.together`)."""
    with configured(database, topics, "narrow", size, into) as (folder, uid), ExitStack() as them:
        started = time.monotonic()
        running = [them.enter_context(pod(folder, WRITE)) for _ in range(pods)]
        return together.watch(database.uri, uid, count, running, started)


def latency(database: Database, topics: Topics, table: str, start: int, count: int) -> list[float]:
    """Return the seconds from sending a record until its row is there, one after the other."""
    into = sink("narrow", table)
    with configured(database, topics, "narrow", 500, into) as (folder, uid), pod(folder, WRITE):
        watch(database.uri, WRITTEN.format(uid), start, tuple, time.monotonic())
        return asyncio.run(_latency(database.uri, topics, table, range(start, start + count)))


async def _latency(uri: str, topics: Topics, table: str, numbers: range) -> list[float]:
    producer = Producer(broker(), Compression.ZSTD)
    connection = await asyncpg.connect(uri)
    found = []
    try:
        for number in numbers:
            started = time.monotonic()
            await producer.send(topics.of["narrow"].name, [message("narrow", number)])
            while not await connection.fetchval(f"SELECT 1 FROM {table} WHERE id = $1", number):
                await asyncio.sleep(0.005)
            found.append(time.monotonic() - started)
    finally:
        await connection.close()
        await producer.close()
    return found
