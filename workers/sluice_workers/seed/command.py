"""``sluice seed``: the items of a job, into its items topic."""

from pathlib import Path

import click
import uvloop

from sluice_workers.runtime import explained_exit
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.seed.seed import seed
from sluice_workers.settings import DEFAULT_FOLDER, SeedSettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def command(folder: Path) -> None:
    """Write a job's items to its items topic."""
    with explained_exit():
        configure_logging("seed", job=SeedSettings.read(folder, "seed").job)
        uvloop.run(seed(folder))
