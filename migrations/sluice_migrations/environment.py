"""Alembic's configuration and context: for the command line and for ``sluice migrate``.

There are two histories. That of the schema ``sluice`` comes with Sluice. The other is a person's
own: revisions of target tables, in a folder of theirs whose configuration has the option ``jobs``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

from alembic import command
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.schema import CreateSchema

from sluice_api.errors import ConfigurationError
from sluice_api.identifiers import quoted
from sluice_api.names import DATABASE_SCHEMA
from sluice_migrations import catalog, jobs, tables
from sluice_migrations.check import spelled
from sluice_migrations.schema import METADATA
from sluice_migrations.types import OwnType

FOLDER: Final = Path(__file__).parent
OWN_FOLDER: Final = Path("/opt/sluice/migrations")
"""Where an image of a person's own has their revisions, in its folder ``versions``."""
OWN_VERSIONS: Final = "target_version"
"""The table of the schema ``sluice`` that knows the revision of a person's own history."""
LOCK: Final = 0x736C_7569_6365
"""The key of the advisory lock under which migrations run: the word "sluice" in ASCII."""


def configuration(
    connection: Connection | None = None, *, versions: Path = FOLDER / "versions"
) -> Config:
    """Return Alembic's configuration; ``connection`` is used instead of opening one.

    ``versions`` is the folder of the revisions, a person's own unless it is that of Sluice.
    """
    found = Config()
    found.set_main_option("script_location", str(FOLDER))
    found.set_main_option("version_locations", str(versions))
    found.set_main_option("path_separator", "os")
    if versions != FOLDER / "versions":
        found.set_main_option("jobs", "")
    found.attributes["connection"] = connection
    return found


def migrate(context: EnvironmentContext, connection: Connection) -> None:
    """Run Alembic's migrations in a connection; a second one waits until the first has ended."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if not catalog.exists(connection, "namespace", DATABASE_SCHEMA):
        connection.execute(CreateSchema(DATABASE_SCHEMA))
    given = context.config.get_alembic_option("jobs")
    options = _ours() if given is None else _own(given)
    context.configure(
        connection=connection,
        version_table_schema=DATABASE_SCHEMA,
        render_item=_render,
        process_revision_directives=_with_schemas,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def _ours() -> dict[str, Any]:
    return {
        "target_metadata": METADATA,
        "include_schemas": True,
        "include_name": _is_ours,
        "compare_type": True,
    }


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "schema":
        return name == DATABASE_SCHEMA
    return bool(parents.get("schema_name") == DATABASE_SCHEMA) and name != OWN_VERSIONS


def _own(patterns: str | list[str]) -> dict[str, Any]:
    given = patterns.split() if isinstance(patterns, str) else patterns
    metadata = tables.metadata(jobs.sinks(given))
    options = {"target_metadata": metadata, "version_table": OWN_VERSIONS}
    return options | tables.options(metadata)


def _render(kind: str, value: Any, context: Any) -> str | Literal[False]:
    """Render types of the user's own with the import that they need; leave others to Alembic."""
    if kind != "type" or not isinstance(value, OwnType):
        return False
    context.imports.add("from sluice_migrations.types import OwnType")
    return repr(value)


def _with_schemas(
    context: MigrationContext, _revision: Any, directives: list[ops.MigrationScript]
) -> None:
    """Let a new revision create the schemas of its tables that are not there."""
    connection, metadata = context.connection, context.opts.get("target_metadata")
    if connection is None or not isinstance(metadata, MetaData):
        return
    for script in directives:
        upgrade = script.upgrade_ops
        for name in _schemas(upgrade.ops if upgrade else ()):
            if not catalog.exists(connection, "namespace", quoted(name)) and upgrade is not None:
                # To Alembic it is text in which a colon begins a parameter.
                statement = f"CREATE SCHEMA {spelled(name)}".replace(":", "\\:")
                upgrade.ops.insert(0, ops.ExecuteSQLOp(statement))


def _schemas(operations: Iterable[ops.MigrateOperation]) -> set[str]:
    made = (each for each in operations if isinstance(each, ops.CreateTableOp))
    return {table.schema for table in made if table.schema}


def upgrade(connection: Connection) -> None:
    """Bring the schema ``sluice`` to its newest revision."""
    command.upgrade(configuration(connection), "head")


def upgrade_own(connection: Connection, folder: Path = OWN_FOLDER) -> None:
    """Bring a person's own history to its newest revision.

    Raises ``ConfigurationError`` when there is none, or Alembic cannot follow it.
    """
    versions = folder / "versions"
    if not versions.is_dir():
        raise ConfigurationError(
            f"the image of spec.sink.postgres.migrations has no folder {versions}: copy your"
            " revisions there"
        )
    try:
        command.upgrade(configuration(connection, versions=versions), "head")
    except CommandError as error:
        raise ConfigurationError(f"the revisions in {versions}: {error}") from error


def check(connection: Connection) -> None:
    """Raise Alembic's error when the newest revision is not what the models say."""
    command.check(configuration(connection))
