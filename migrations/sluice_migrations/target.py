"""The users' target tables: created, extended or checked before the first row."""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine

from sluice_api.errors import ConfigurationError
from sluice_api.sink import ColumnType, PostgresSink, WriteMode
from sluice_migrations.environment import LOCK

TYPES: Final[dict[ColumnType, TypeEngine[Any]]] = {
    ColumnType.TEXT: sa.Text(),
    ColumnType.BOOLEAN: sa.Boolean(),
    ColumnType.SMALLINT: sa.SmallInteger(),
    ColumnType.INTEGER: sa.Integer(),
    ColumnType.BIGINT: sa.BigInteger(),
    ColumnType.REAL: sa.REAL(),
    ColumnType.DOUBLE: sa.Double(),
    ColumnType.NUMERIC: sa.Numeric(),
    ColumnType.DATE: sa.Date(),
    ColumnType.TIMESTAMP: sa.DateTime(),
    ColumnType.TIMESTAMPTZ: sa.DateTime(timezone=True),
    ColumnType.UUID: sa.Uuid(),
    ColumnType.JSONB: pg.JSONB(),
    ColumnType.TEXT_ARRAY: sa.ARRAY(sa.Text()),
    ColumnType.BIGINT_ARRAY: sa.ARRAY(sa.BigInteger()),
    ColumnType.DOUBLE_ARRAY: sa.ARRAY(sa.Double()),
}
_ALIASES: Final = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "character varying": "text",
    "character": "text",
}
_FOUND: Final = sa.text("""
    SELECT attname, format_type(atttypid, NULL) AS type
    FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
""")
_UNIQUE: Final = sa.text("""
    SELECT 1 FROM pg_index AS i
    WHERE i.indrelid = to_regclass(:table) AND i.indisunique AND i.indpred IS NULL
      AND ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = i.indrelid AND attnum = ANY (i.indkey::int2[]) ORDER BY 1
      ) = CAST(:columns AS text[])
""")


def prepare(connection: sa.Connection, sink: PostgresSink) -> None:
    """Make a sink's table fit, or raise ``ConfigurationError`` that names every column at fault.

    A managed table is created, or gets the columns that it lacks; nothing is dropped or narrowed.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    found = existing(connection, sink.table)
    operations = Operations(MigrationContext.configure(connection))
    if not found and sink.manage:
        _create(operations, sink)
        return
    if not found:
        raise ConfigurationError(
            f"table {sink.table} does not exist and spec.sink.postgres.manage is false: create it"
        )
    missing = [column for column in wanted(sink) if column.name not in found]
    if missing and sink.manage:
        schema, _, table = sink.table.partition(".")
        for column in missing:
            column.nullable = True
            operations.add_column(table, column, schema=schema)
        found = existing(connection, sink.table)
    mistakes = [*_mistakes(sink, found), *_not_unique(connection, sink)]
    if mistakes:
        raise ConfigurationError(f"table {sink.table} does not fit: {'; '.join(mistakes)}")


def existing(connection: sa.Connection, table: str) -> dict[str, str]:
    """Return the columns of a table with their types; empty when there is no such table."""
    rows = connection.execute(_FOUND, {"table": table})
    return {name: _ALIASES.get(kind, kind) for name, kind in rows}


def wanted(sink: PostgresSink) -> list[sa.Column[Any]]:
    """Return the columns that a sink needs."""
    columns = [
        sa.Column(
            name,
            TYPES[column.type],
            nullable=column.nullable and name not in sink.key,
            autoincrement=False,
        )
        for name, column in sink.columns.items()
    ]
    return [*columns, sa.Column(*_bookkeeping(sink), nullable=False)]


def _bookkeeping(sink: PostgresSink) -> tuple[str, TypeEngine[Any]]:
    if sink.mode is WriteMode.UPSERT:
        return sink.version_column, sa.BigInteger()
    return sink.record_id_column, sa.Text()


def _identity(sink: PostgresSink) -> tuple[str, ...]:
    return sink.key if sink.mode is WriteMode.UPSERT else (sink.record_id_column,)


def _create(operations: Operations, sink: PostgresSink) -> None:
    schema, _, table = sink.table.partition(".")
    operations.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    key = sa.PrimaryKeyConstraint(*_identity(sink))
    operations.create_table(table, *wanted(sink), key, schema=schema)


def _mistakes(sink: PostgresSink, found: dict[str, str]) -> Iterator[str]:
    name, _ = _bookkeeping(sink)
    types = {column: str(given.type) for column, given in sink.columns.items()}
    types[name] = "bigint" if sink.mode is WriteMode.UPSERT else "text"
    for column, kind in types.items():
        if column not in found:
            yield f"column {column} is missing, wanted {kind}"
        elif found[column] != kind:
            yield f"column {column} is {found[column]}, wanted {kind}"


def _not_unique(connection: sa.Connection, sink: PostgresSink) -> Iterator[str]:
    columns = _identity(sink)
    given = {"table": sink.table, "columns": sorted(columns)}
    if connection.execute(_UNIQUE, given).first() is None:
        names = ", ".join(columns)
        yield f"no unique index on ({names}): CREATE UNIQUE INDEX ON {sink.table} ({names})"
