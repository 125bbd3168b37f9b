"""How a managed table follows its job: Alembic compares, the rules here decide.

What loses nothing is done: a table made, a column added, a type widened, NOT NULL taken away where
rows would be refused. What loses something needs the column's name in ``migrations.drop`` or
``migrations.narrow``. What would rewrite a large table is left to people.
"""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext

from sluice_api.column_type import TEXTS, TypeParts, holds
from sluice_api.errors import ConfigurationError
from sluice_api.identifiers import quoted
from sluice_api.sink import PostgresSink
from sluice_migrations import catalog, tables
from sluice_migrations.catalog import FoundColumn, FoundTable
from sluice_migrations.check import fits, spelled, wanted_types
from sluice_migrations.types import sql_type

REWRITTEN: Final = 1 << 30
"""Bytes of a table up to which a change of type that writes all rows anew is done unasked."""


def create(connection: sa.Connection, sink: PostgresSink) -> None:
    """Create a sink's table, and its schema where that is missing too."""
    schema, _ = sink.place
    if not catalog.exists(connection, "namespace", quoted(schema)):
        connection.execute(sa.schema.CreateSchema(schema))
    _invoke(connection, compare(connection, tables.metadata([sink])))


def follow(connection: sa.Connection, sink: PostgresSink, found: FoundTable) -> None:
    """Change a managed table as far as the rules allow.

    Raises ``ConfigurationError`` for a change that would write a large table anew.
    """
    asked = compare(connection, tables.metadata([sink]))
    _invoke(connection, [*_allowed(sink, found, asked), *_relaxed(sink, found)])


def compare(connection: sa.Connection, metadata: sa.MetaData) -> list[ops.MigrateOperation]:
    """Return what Alembic would do to make the database what the metadata say."""
    context = MigrationContext.configure(connection, opts=tables.options(metadata))
    return list(_flat(produce_migrations(context, metadata).upgrade_ops))


def _flat(found: Any) -> Iterator[ops.MigrateOperation]:
    for operation in found.ops if found else ():
        if isinstance(operation, ops.OpContainer):
            yield from _flat(operation)
        else:
            yield operation


def _invoke(connection: sa.Connection, operations: list[ops.MigrateOperation]) -> None:
    runner = Operations(MigrationContext.configure(connection))
    for operation in operations:
        runner.invoke(operation)


def _allowed(
    sink: PostgresSink, found: FoundTable, asked: list[ops.MigrateOperation]
) -> Iterator[ops.MigrateOperation]:
    for operation in asked:
        match operation:
            case ops.AddColumnOp():
                # Rows that are there have no value for it; the writer holds back new ones.
                operation.column.nullable = True
                yield operation
            case ops.DropColumnOp(column_name=name) if name in sink.migrations.drop:
                yield operation
            case ops.AlterColumnOp(column_name=name):
                column, wanted = found.columns[name], wanted_types(sink)[name]
                if _changes(sink, found, column, wanted):
                    yield _retyped(operation, wanted)
            case _:
                pass


def _changes(sink: PostgresSink, found: FoundTable, column: FoundColumn, wanted: TypeParts) -> bool:
    """Whether a column gets the wanted type; what fits as it is stays unless it is named."""
    if column.generated or column.domain is not None or column.type == wanted:
        return False
    shown_as_text = wanted.base == "text" and not wanted.array and not fits(column.type, wanted)
    widens = holds(wanted, column.type) or shown_as_text
    if not widens and column.name not in sink.migrations.narrow:
        return False
    if rewrites(column.type, wanted) and found.size > REWRITTEN:
        raise ConfigurationError(
            f"table {sink.table}: column {column.name} is {column.type}, wanted {wanted}, and the"
            f" change writes {found.size >> 20} MiB anew while nobody can read them: do it when"
            f" that suits, by ALTER TABLE {spelled(*sink.place)}"
            f" ALTER COLUMN {spelled(column.name)} TYPE {wanted.sql}"
        )
    return True


def rewrites(column: TypeParts, wanted: TypeParts) -> bool:
    """Whether Postgres writes every row anew for a change of type."""
    if column.array or wanted.array or not holds(wanted, column):
        return True
    if {column.base, wanted.base} <= TEXTS - {"char"}:
        return False
    if column.base == wanted.base == "numeric":
        return bool(wanted.modifiers) and column.modifiers[1:] != wanted.modifiers[1:]
    times = column.base == wanted.base and column.base.startswith("time")
    return not times and (column.base, wanted.base) != ("cidr", "inet")


def _retyped(operation: ops.AlterColumnOp, wanted: TypeParts) -> ops.AlterColumnOp:
    using = f"{quoted(operation.column_name)}::{wanted.sql}"
    return ops.AlterColumnOp(
        operation.table_name,
        operation.column_name,
        schema=operation.schema,
        modify_type=sql_type(wanted),
        existing_type=operation.existing_type,
        postgresql_using=using,
    )


def _relaxed(sink: PostgresSink, found: FoundTable) -> Iterator[ops.MigrateOperation]:
    """Take NOT NULL away where it would refuse rows that the job allows."""
    schema, table = tables.place(sink)
    wanted = wanted_types(sink)
    for name, column in found.columns.items():
        if not column.not_null or name in sink.migrations.drop:
            continue
        given = sink.columns.get(name)
        nullable = given is not None and given.nullable and name not in sink.identity
        forgotten = name not in wanted and not column.filled and not column.generated
        if nullable or forgotten:
            yield ops.AlterColumnOp(table, name, schema=schema, modify_nullable=True)
