"""How many writers a sink's database has connections for: limits are read, then weighed (pure)."""

import logging
import time
from dataclasses import dataclass
from typing import Final

import asyncpg

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_operator import sink
from sluice_operator.autoscaler import Ceiling
from sluice_operator.kube import Kubernetes
from sluice_operator.observed import Job
from sluice_workers.write import pool

EVERY: Final = 60.0
"""Seconds between two looks at a database."""
EACH: Final = pool.MOST
"""Connections that a writer may hold; with a durable buffer one of them appends and one merges."""
SPARE: Final = 2
"""Connections that a job may need besides its writers': the operator's or the migration's, and one
of a writer that looks what it waits for."""
_LOG: Final = logging.getLogger(__name__)

_LIMITS: Final = """
    SELECT current_setting('max_connections')::int AS maximum,
      current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
      CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END AS of_role,
      CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END AS of_database,
      count(a.pid)::int AS others,
      (count(a.pid) FILTER (WHERE a.usesysid = r.oid))::int AS others_of_role,
      (count(a.pid) FILTER (WHERE a.datid = d.oid))::int AS others_of_database
    FROM pg_roles AS r
    JOIN pg_database AS d ON d.datname = current_database()
    LEFT JOIN pg_stat_activity AS a ON a.datid IS NOT NULL AND a.pid <> pg_backend_pid()
      AND a.application_name <> $1
    WHERE r.rolname = current_user
    GROUP BY r.rolsuper, r.rolconnlimit, d.datconnlimit
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the connections of a job's writers; ``others`` are everybody else's now."""

    maximum: int
    """``max_connections`` of the server."""
    reserved: int
    """Those of them that ordinary users do not get."""
    others: int
    of_role: int
    """The role's CONNECTION LIMIT; negative when there is none."""
    others_of_role: int
    of_database: int
    """The database's CONNECTION LIMIT; negative when there is none."""
    others_of_database: int


def room(found: Limits) -> Ceiling:
    """Return how many writers there are connections for, at least one, and why no more."""
    rooms = {
        f"max_connections is {found.maximum}, {found.reserved} reserved,"
        f" {found.others} used by others": found.maximum - found.reserved - found.others,
    }
    if found.of_role >= 0:
        why = f"its user's CONNECTION LIMIT is {found.of_role}, {found.others_of_role} used"
        rooms[f"{why} by others"] = found.of_role - found.others_of_role
    if found.of_database >= 0:
        why = f"its CONNECTION LIMIT is {found.of_database}, {found.others_of_database} used"
        rooms[f"{why} by others"] = found.of_database - found.others_of_database
    why, least = min(rooms.items(), key=lambda item: item[1])
    writers = max(1, (least - SPARE) // EACH)
    return Ceiling(
        writers, f"the sink's database has connections for {writers} writers of {EACH} each: {why}"
    )


class Connections:
    """Looks at the sinks of jobs, seldom; one look at a job at a time."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._last: dict[JobName, tuple[float, Ceiling | None]] = {}

    def forget(self, job: JobName) -> None:
        """Forget a job that is gone."""
        self._last.pop(job, None)

    async def look(self, job: Job) -> Ceiling | None:
        """Return the bound for a job's writers; None while its database has never answered.

        Whoever cannot reach the database keeps the last answer: the writers will say so.
        """
        at, ceiling = self._last.get(job.name, (-EVERY, None))
        now = time.monotonic()
        if now - at < EVERY:
            return ceiling
        try:
            if database := await sink.database(self._kubernetes, job):
                ceiling = room(await limits(database, job.name))
        except (DependencyError, asyncpg.PostgresError, OSError, TimeoutError) as error:
            _LOG.info("%s: the sink's connections were not counted: %s", job.name, error)
        self._last[job.name] = (now, ceiling)
        return ceiling


async def limits(database: sink.Database, job: JobName) -> Limits:
    """Read the limits of a sink's database. Raises ``DependencyError`` and Postgres's errors."""
    async with sink.connected(database) as connection:
        row = await connection.fetchrow(_LIMITS, f"sluice/{job}"[:63], timeout=sink.TIMEOUT)
    return Limits(**dict(row))
