"""The users' target tables: created, changed or checked before the first row."""

from typing import Final

import sqlalchemy as sa

from sluice_api.errors import ConfigurationError
from sluice_api.sink import PostgresSink
from sluice_migrations import catalog, evolve
from sluice_migrations.check import mistakes
from sluice_migrations.environment import LOCK

LOCK_TIMEOUT: Final = "2s"
"""How long a change waits for a table that is in use: behind it, everybody else would wait too."""


def prepare(connection: sa.Connection, sink: PostgresSink) -> None:
    """Make a sink's table fit, or raise ``ConfigurationError`` that names every column at fault.

    A managed table is created, or follows the job as far as :mod:`sluice_migrations.evolve` says.
    A second one that prepares waits until the first has ended.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    _refuse_unknown_types(connection, sink)
    found = catalog.read(connection, sink.quoted_table)
    if sink.manage:
        if found is None:
            evolve.create(connection, sink)
        else:
            evolve.follow(connection, sink, found)
        found = catalog.read(connection, sink.quoted_table)
    if found is None:
        raise ConfigurationError(
            f"table {sink.table} does not exist and spec.sink.postgres.manage is false: create it"
        )
    if wrong := [*mistakes(sink, found)]:
        raise ConfigurationError(f"table {sink.table} does not fit: {'; '.join(wrong)}")


def _refuse_unknown_types(connection: sa.Connection, sink: PostgresSink) -> None:
    unknown = [
        f"column {name} is of type {column.type}, which does not exist: create it"
        for name, column in sink.columns.items()
        if column.type.parts.own and not catalog.exists(connection, "type", column.type.parts.sql)
    ]
    if unknown:
        raise ConfigurationError(f"table {sink.table}: {'; '.join(unknown)}")
