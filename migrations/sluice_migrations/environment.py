"""Alembic's configuration and context, for the command line and for ``sluice migrate`` alike."""

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateSchema

from sluice_api.names import DATABASE_SCHEMA
from sluice_migrations import catalog
from sluice_migrations.schema import METADATA

FOLDER: Final = Path(__file__).parent
LOCK: Final = 0x736C_7569_6365
"""The key of the advisory lock under which migrations run: the word "sluice" in ASCII."""


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; ``connection`` is used instead of opening one."""
    found = Config()
    found.set_main_option("script_location", str(FOLDER))
    found.set_main_option("version_locations", str(FOLDER / "versions"))
    found.set_main_option("path_separator", "os")
    found.attributes["connection"] = connection
    return found


def migrate(context: EnvironmentContext, connection: Connection) -> None:
    """Run Alembic's migrations in a connection; a second one waits until the first has ended."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if not catalog.exists(connection, "namespace", DATABASE_SCHEMA):
        connection.execute(CreateSchema(DATABASE_SCHEMA))
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        version_table_schema=DATABASE_SCHEMA,
        include_schemas=True,
        include_name=_is_ours,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "schema":
        return name == DATABASE_SCHEMA
    return bool(parents.get("schema_name") == DATABASE_SCHEMA)


def upgrade(connection: Connection) -> None:
    """Bring the schema ``sluice`` to its newest revision."""
    command.upgrade(configuration(connection), "head")


def check(connection: Connection) -> None:
    """Raise Alembic's error when the newest revision is not what the models say."""
    command.check(configuration(connection))
