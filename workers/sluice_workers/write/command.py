"""``sluice write``: the writer's pod."""

import sys
from pathlib import Path

import click

from sluice_workers.runtime import explained_exit, supervise
from sluice_workers.settings import DEFAULT_FOLDER, PORT, WriterSettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--port", default=PORT, show_default=True, help="Where the pod's state is served.")
def command(folder: Path, port: int) -> None:
    """Run a writer."""
    with explained_exit():
        settings = WriterSettings.read(folder, "writer")
        target = "sluice_workers.write.writer:run"
        sys.exit(supervise("writer", 1, target, folder, port=port, job=settings.job))
