"""The sink's database, as the operator needs it: the history of runs, and what a job leaves."""

from contextlib import suppress
from typing import Final

import asyncpg

from sluice_api.errors import DependencyError
from sluice_api.status import RunStatus
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
_FORGET: Final = "DELETE FROM sluice.offsets WHERE job_uid = $1"


async def record_run(uri: str, job: Job, run: RunStatus, failed: int) -> None:
    """Write a run to the table ``sluice.runs``. Raises ``DependencyError``."""
    items, records = sum(run.items_end or ()), sum(run.records_end or ())
    times = (run.started_at, run.seeded_at, run.completed_at)
    await _execute(uri, _RECORD_RUN, run.id, job.uid, str(job.name), *times, items, records, failed)


async def forget(uri: str, uid: str) -> None:
    """Delete a job's offsets. Raises ``DependencyError``."""
    with suppress(asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        await _execute(uri, _FORGET, uid)


async def _execute(uri: str, statement: str, *values: object) -> None:
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
        await connection.execute(statement, *values, timeout=TIMEOUT)
    finally:
        await connection.close(timeout=TIMEOUT)
