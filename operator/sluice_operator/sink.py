"""The sink's database, as the operator needs it: the history of runs, and what a job leaves."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from sluice_api.errors import DependencyError
from sluice_api.status import RunStatus
from sluice_operator.kube import Kubernetes, decoded
from sluice_operator.observed import Job

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
SLICE: Final = 10_000
"""Record ids that are deleted by one statement: a transaction that hinders nobody."""


async def record_run(uri: str, job: Job, run: RunStatus, failed: int) -> None:
    """Write a run to the table ``sluice.runs``. Raises ``DependencyError``."""
    items, records = sum(run.items_end or ()), sum(run.records_end or ())
    times = (run.started_at, run.seeded_at, run.completed_at)
    await _execute(uri, _RECORD_RUN, run.id, job.uid, str(job.name), *times, items, records, failed)


async def forget(uri: str, uid: str) -> None:
    """Delete a job's offsets and record ids. Raises ``DependencyError``."""
    with suppress(asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        await _execute(uri, _FORGET, uid)
        while await _execute(uri, _FORGET_IDS, uid, SLICE) == f"DELETE {SLICE}":
            pass


async def uri(kubernetes: Kubernetes, job: Job) -> str | None:
    """Return the URI of a job's sink; None where its Secret lacks it."""
    reference = job.spec.sink.postgres.secret_ref
    secret = await kubernetes.get("Secret", job.name.namespace, reference.name)
    return (decoded(secret).get(reference.key) or None) if secret is not None else None


async def written(uri: str, uid: str, generation: int) -> dict[int, int]:
    """Return the next offset to write of each partition that writers have claimed.

    Raises ``DependencyError``.
    """
    async with _connected(uri) as connection:
        try:
            rows = await connection.fetch(_WRITTEN, uid, generation, timeout=TIMEOUT)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            return {}
        return {row["partition"]: row["next_offset"] for row in rows}


async def prune(uri: str, uid: str, generation: int, starts: Sequence[int]) -> None:
    """Delete the ids of records that are in the records topic no more.

    ``starts`` is the oldest offset of each partition. Raises ``DependencyError``.
    """
    given = (uid, generation, list(range(len(starts))), list(starts), SLICE)
    while await _execute(uri, _PRUNE, *given) == f"DELETE {SLICE}":
        pass


async def _execute(uri: str, statement: str, *values: object) -> str:
    async with _connected(uri) as connection:
        return await connection.execute(statement, *values, timeout=TIMEOUT)


@asynccontextmanager
async def _connected(uri: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    try:
        connection = await asyncpg.connect(uri, timeout=TIMEOUT)
    except ValueError:
        # What a URI that cannot be parsed says of itself may be a part of its password.
        raise DependencyError("InvalidUri", "the sink's URI cannot be read") from None
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise DependencyError(
            "DatabaseUnreachable", f"the sink's database does not answer: {error}"
        ) from error
    try:
        yield connection
    finally:
        await connection.close(timeout=TIMEOUT)
