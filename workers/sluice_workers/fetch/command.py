"""``sluice fetch``: the fetcher's pod."""

import sys
from pathlib import Path

import click

from sluice_workers.runtime import explained_exit, supervise
from sluice_workers.settings import DEFAULT_FOLDER, PORT, FetcherSettings


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--port", default=PORT, show_default=True, help="Where the pod's state is served.")
def command(folder: Path, port: int) -> None:
    """Run a fetcher."""
    with explained_exit():
        settings = FetcherSettings.read(folder, "fetcher")
        target = "sluice_workers.fetch.fetcher:run"
        processes, job = settings.processes, settings.job
        sys.exit(supervise("fetcher", processes, target, folder, port=port, job=job))
