"""The users' tables as SQLAlchemy's metadata, and how Alembic compares them with the database."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from sluice_api.column_type import parts, spelled
from sluice_api.sink import PostgresSink
from sluice_migrations.check import wanted_types
from sluice_migrations.types import OwnType, sql_type

DEFAULT_SCHEMA: Final = "public"
"""What the search path of our connections names; Alembic calls it None."""


def metadata(sinks: Iterable[PostgresSink]) -> sa.MetaData:
    """Return the tables of several sinks; of those with the same table, the columns of all."""
    found = sa.MetaData()
    for sink in sinks:
        schema, name = place(sink)
        known = found.tables.get(f"{schema}.{name}" if schema else name)
        if known is None:
            sa.Table(name, found, *_columns(sink), *_key(sink), schema=schema)
        else:
            for column in _columns(sink):
                if column.name not in known.columns:
                    known.append_column(column)
    return found


def place(sink: PostgresSink) -> tuple[str | None, str]:
    """Return the schema, as Alembic calls it, and the name of a sink's table."""
    schema, name = sink.place
    return (None if schema == DEFAULT_SCHEMA else schema), name


def _columns(sink: PostgresSink) -> list[sa.Column[Any]]:
    needed = {name for name, column in sink.columns.items() if not column.nullable}
    needed |= {*sink.identity, *(sink.bookkeeping or ())[:1]}
    return [
        sa.Column(name, sql_type(kind), nullable=name not in needed, autoincrement=False)
        for name, kind in wanted_types(sink).items()
    ]


def _key(sink: PostgresSink) -> list[sa.PrimaryKeyConstraint]:
    return [sa.PrimaryKeyConstraint(*sink.identity)] if sink.identity else []


def options(tables: sa.MetaData) -> dict[str, Any]:
    """Return how Alembic compares: these tables only, their columns and types.

    Indexes, constraints, defaults and comments are the users' own.
    """
    schemas = {table.schema for table in tables.tables.values()}
    names = {(table.schema, table.name) for table in tables.tables.values()}

    def include(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
        if kind == "schema":
            return name in schemas
        return kind != "table" or (parents.get("schema_name"), name) in names

    return {
        "include_schemas": True,
        "include_name": include,
        "compare_type": differs,
        "autogenerate_plugins": [
            "alembic.autogenerate.schemas",
            "alembic.autogenerate.tables",
            "alembic.autogenerate.types",
        ],
    }


def differs(
    context: MigrationContext,
    _column: sa.Column[Any],
    _wanted: sa.Column[Any],
    found: sa.types.TypeEngine[Any],
    wanted: sa.types.TypeEngine[Any],
) -> bool:
    """Whether two types differ by their names in Postgres."""
    if isinstance(wanted, OwnType):
        return wanted.name not in _own_names(found)
    shown, asked = (
        parts(spelled(each.compile(dialect=context.dialect).lower())) for each in (found, wanted)
    )
    return shown != asked


def _own_names(found: sa.types.TypeEngine[Any]) -> set[str]:
    """Return by which names a job may mean a type; one in the search path has no schema."""
    if isinstance(found, sa.ARRAY):
        return {f"{name}[]" for name in _own_names(found.item_type)}
    name = getattr(found, "name", None) or str(found).lower()
    return {f"{getattr(found, 'schema', None) or DEFAULT_SCHEMA}.{name}", f"pg_catalog.{name}"}
