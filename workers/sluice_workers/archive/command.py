"""``sluice archive``: the archiver's pod."""

import sys
from pathlib import Path

import click

from sluice_workers.runtime import explained_exit, supervise
from sluice_workers.settings import DEFAULT_FOLDER, PORT, ArchiverSettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--port", default=PORT, show_default=True, help="Where the pod's state is served.")
def command(folder: Path, port: int) -> None:
    """Run an archiver."""
    with explained_exit():
        settings = ArchiverSettings.read(folder, "archiver")
        target = "sluice_workers.archive.archiver:run"
        sys.exit(supervise("archiver", 1, target, folder, port=port, job=settings.job))
