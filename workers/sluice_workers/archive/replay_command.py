"""``sluice replay``: records of an archive, into a job's records topic."""

from pathlib import Path

import click
import uvloop

from sluice_workers.archive.replay import replay
from sluice_workers.runtime import explained_exit
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.settings import DEFAULT_FOLDER, ReplaySettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def command(folder: Path) -> None:
    """Write the records of an archive to a job's records topic."""
    with explained_exit():
        configure_logging("replay", job=ReplaySettings.read(folder, "replay").job)
        uvloop.run(replay(folder))
