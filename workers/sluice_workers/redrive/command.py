"""``sluice put-back``: given-up items of a job, back into its items topic."""

from pathlib import Path

import click
import uvloop

from sluice_workers.redrive.redrive import redrive
from sluice_workers.runtime import explained_exit
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.runtime.termination import last_words
from sluice_workers.settings import DEFAULT_FOLDER, RedriveSettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
def command(folder: Path) -> None:
    """Put given-up items back, in a pod of the job; `sluice redrive` asks for it."""
    with explained_exit():
        configure_logging("redrive", job=RedriveSettings.read(folder, "put-back").job)
        report = uvloop.run(redrive(folder))
        last_words(report.model_dump_json(by_alias=True))
