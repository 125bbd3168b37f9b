"""The sink's database, as the operator needs it: the history of runs, and what a job leaves."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg

from sluice_api.status import RunStatus
from sluice_migrations.certificates import AUTHORITY
from sluice_operator.kube import Kubernetes, decoded
from sluice_operator.observed import Job
from sluice_workers.write.database import connect, verified
from sluice_workers.write.refusal import failure

APPLICATION: Final = "sluice/operator"
"""The name of the operator's connections in pg_stat_activity."""

TIMEOUT: Final = 5.0
"""Seconds that the database has for one answer."""

_RECORD_RUN: Final = """
    INSERT INTO sluice.runs
      (id, job_uid, job, started_at, seeded_at, completed_at, items, records, failed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (id) DO UPDATE SET
      seeded_at = EXCLUDED.seeded_at, completed_at = EXCLUDED.completed_at,
      items = EXCLUDED.items, records = EXCLUDED.records, failed = EXCLUDED.failed
"""
_WRITTEN: Final = """
    SELECT partition, next_offset FROM sluice.offsets WHERE job_uid = $1 AND generation = $2
"""
_FORGET: Final = "DELETE FROM sluice.offsets WHERE job_uid = $1"
_FORGET_SLICES: Final = "DELETE FROM sluice.slices WHERE job_uid = $1"
_FORGET_CHUNKS: Final = """
    DELETE FROM sluice.buffer WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM sluice.buffer WHERE job_uid = $1 LIMIT $2
    ))
"""
_FORGET_IDS: Final = """
    DELETE FROM sluice.record_ids WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM sluice.record_ids WHERE job_uid = $1 LIMIT $2
    ))
"""
_PRUNE: Final = """
    DELETE FROM sluice.record_ids WHERE ctid = ANY (ARRAY(
      SELECT i.ctid FROM sluice.record_ids AS i
      LEFT JOIN unnest($3::int[], $4::bigint[]) AS kept (partition, start)
        ON kept.partition = i.partition
      WHERE i.job_uid = $1
        AND (i.generation < $2 OR i.generation = $2 AND i.record_offset < kept.start)
      LIMIT $5
    ))
"""
PRUNE_SECONDS: Final = 10.0
"""How long record ids are deleted at a stretch: the job waits meanwhile."""
SLICE: Final = 10_000
"""Record ids that are deleted by one statement: a transaction that hinders nobody."""
CHUNKS: Final = 100
"""Chunks of a durable buffer, each of up to 16 MiB, that are deleted by one statement."""


@dataclass(frozen=True, slots=True)
class Database:
    """How a job's sink is reached, from its Secret."""

    uri: str = field(repr=False)
    authority: str | None = None
    """PEM text of the authorities that must have signed its server's certificate."""


async def record_run(database: Database, job: Job, run: RunStatus, failed: int) -> None:
    """Write a run to the table ``sluice.runs``. Raises ``DependencyError``."""
    items, records = sum(run.items_end or ()), sum(run.records_end or ())
    times = (run.started_at, run.seeded_at, run.completed_at)
    whose = (run.id, job.uid, str(job.name))
    await _execute(database, _RECORD_RUN, *whose, *times, items, records, failed)


async def forget(database: Database, uid: str) -> None:
    """Delete a job's offsets, record ids and what is buffered of it. Raises ``DependencyError``."""
    with suppress(asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        await _execute(database, _FORGET, uid)
        while await _execute(database, _FORGET_IDS, uid, SLICE) == f"DELETE {SLICE}":
            pass
        await _execute(database, _FORGET_SLICES, uid)
        while await _execute(database, _FORGET_CHUNKS, uid, CHUNKS) == f"DELETE {CHUNKS}":
            pass


async def database(kubernetes: Kubernetes, job: Job) -> Database | None:
    """Return how a job's sink is reached; None where its Secret lacks it."""
    reference = job.spec.sink.postgres.secret_ref
    secret = await kubernetes.get("Secret", job.name.namespace, reference.name)
    data = decoded(secret) if secret is not None else {}
    uri = data.get(reference.key, "").strip()
    return Database(uri, data.get(AUTHORITY)) if uri else None


async def written(database: Database, uid: str, generation: int) -> dict[int, int]:
    """Return the next offset to write of each partition that writers have claimed.

    Raises ``DependencyError``.
    """
    async with connected(database) as connection:
        try:
            rows = await connection.fetch(_WRITTEN, uid, generation, timeout=TIMEOUT)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            return {}
        return {row["partition"]: row["next_offset"] for row in rows}


async def prune(database: Database, uid: str, generation: int, starts: Sequence[int]) -> None:
    """Delete ids of records that are in the records topic no more, for ten seconds at the most.

    ``starts`` is the oldest offset of each partition. Raises ``DependencyError``.
    """
    given = (uid, generation, list(range(len(starts))), list(starts), SLICE)
    deadline = time.monotonic() + PRUNE_SECONDS
    with suppress(TimeoutError):  # what is left goes the next time
        while time.monotonic() < deadline:
            if await _execute(database, _PRUNE, *given) != f"DELETE {SLICE}":
                break


async def _execute(database: Database, statement: str, *values: object) -> str:
    async with connected(database) as connection:
        return str(await connection.execute(statement, *values, timeout=TIMEOUT))


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Any]:
    """Open a connection as writers do, with a transaction begun: a pooler may be in between.

    Raises ``DependencyError``.
    """
    with TemporaryDirectory() as folder:
        authority = Path(folder) / AUTHORITY
        if database.authority is not None:
            authority.write_text(database.authority)
        connection = await connect(verified(database.uri, authority), APPLICATION, TIMEOUT)
    try:
        async with connection.transaction():
            yield connection
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise failure(error) from error  # it went away in the middle
    finally:
        connection.terminate()
