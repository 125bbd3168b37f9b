"""``sluice migrate``: the newest schema in the sink, and a target table that fits."""

import asyncio
import time
from pathlib import Path

import click
from sqlalchemy import Connection

from sluice_api.errors import DependencyError
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers.runtime import explained_exit
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.settings import DEFAULT_FOLDER, MigrateSettings
from sluice_workers.write.database import sink_uri

PATIENCE = 60.0
"""Seconds for which a database that does not answer, or a table in use, is asked again."""


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option(
    "--revisions", type=click.Path(path_type=Path), default=environment.OWN_FOLDER, hidden=True
)
def command(folder: Path, revisions: Path) -> None:
    """Bring the sink's schema to its newest revision, and prepare the target table."""
    with explained_exit():
        configure_logging("migrate", job=MigrateSettings.read(folder, "migrate").job)
        asyncio.run(migrate(folder, revisions))


async def migrate(folder: Path, revisions: Path) -> None:
    """Run the migration of the job whose settings are in the folder, all or nothing of it.

    ``revisions`` is where those of the user's own are, when the job names an image of theirs.
    Raises ``ConfigurationError`` when the table does not fit, ``DependencyError`` when for
    ``PATIENCE`` seconds the database has not answered, or others have used the table.
    """
    settings = MigrateSettings.read(folder, "migrate")
    uri = sink_uri(folder / "sink", settings.sink.secret_ref.key)

    def work(connection: Connection) -> None:
        environment.upgrade(connection)
        if settings.sink.migrations.image is not None:
            environment.upgrade_own(connection, revisions)
        target.prepare(connection, settings.sink)

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await within(uri, work)
        except DependencyError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(2)
        else:
            return
