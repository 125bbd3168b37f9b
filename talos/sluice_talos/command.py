"""``sluice cluster``: the commands."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from sluice_api.errors import ConfigurationError, SluiceError
from sluice_talos.bootstrap import bootstrap as bring_up
from sluice_talos.folder import Folder, alone, folder_of, prepare
from sluice_talos.platform import Platform
from sluice_talos.progress import Progress
from sluice_talos.reset import reset as take_down
from sluice_talos.site import Site
from sluice_talos.source import read_platform
from sluice_talos.sources import require_sources
from sluice_talos.status import status as look_at
from sluice_talos.steps import described, steps
from sluice_talos.talosctl import PRIVATE, find_talosctl

FILE = click.argument("file", type=click.Path(path_type=Path))


class Commands(click.Group):
    """Commands whose failures are told in sentences."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; turn its error into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except SluiceError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            message = "interrupted: run the command again to go on from here"
            raise click.ClickException(message) from None


@click.group(cls=Commands)
def command() -> None:
    """Bring up a Kubernetes cluster on Talos Linux, with everything that Sluice needs."""


@command.command()
@FILE
def bootstrap(file: Path) -> None:
    """Bring the cluster of FILE up; a second run goes on where the first stopped."""
    platform, folder = _read(file)
    os.umask(PRIVATE)  # whatever is written from here on may hold secrets
    prepare(folder)
    with alone(folder):
        _run(platform, folder, bring_up, len(steps(platform, folder)))
    click.echo(f"\nexport KUBECONFIG={folder.kubeconfig}\nexport TALOSCONFIG={folder.talosconfig}")


@command.command()
@FILE
def plan(file: Path) -> None:
    """Show everything that bootstrap would do for FILE, without touching anything."""
    platform, folder = _read(file)
    click.echo(described(platform, folder))


@command.command()
@FILE
def status(file: Path) -> None:
    """Show what each node of FILE is at."""
    platform, folder = _read(file)

    async def show(site: Site) -> None:
        click.echo(await look_at(site))

    _run(platform, folder, show, 0)


@command.command()
@FILE
@click.option("--wipe-data", is_flag=True, help="Wipe the data disks too.")
def reset(file: Path, *, wipe_data: bool) -> None:
    """Wipe the nodes of FILE, back to maintenance mode; asks for the cluster's name."""
    platform, folder = _read(file)
    if not folder.talosconfig.exists():
        raise ConfigurationError(
            f"folder {folder.path} holds no talosconfig: without the cluster's certificates its"
            " nodes cannot be reset"
        )
    data = "and the data disks " if wipe_data else ""
    click.echo(f"This wipes the state {data}of {len(platform.nodes)} nodes, for good.")
    if click.prompt("Type the cluster's name to go on") != platform.cluster.name:
        raise click.ClickException("that is not the cluster's name: nothing was touched")
    prepare(folder)
    with alone(folder):
        _run(platform, folder, lambda site: take_down(site, wipe_data=wipe_data), 1)
    folder.kubeconfig.unlink(missing_ok=True)
    click.echo(f"\nThe secrets stay in {folder.path}: remove it, or bootstrap again with them.")


def _read(file: Path) -> tuple[Platform, Folder]:
    require_sources()
    platform = read_platform(file)
    return platform, folder_of(platform)


def _run(
    platform: Platform,
    folder: Folder,
    work: Callable[[Site], Coroutine[Any, Any, None]],
    count: int,
) -> None:
    async def run() -> None:
        site = Site(platform, folder, await find_talosctl(), Progress(count))
        await work(site)

    asyncio.run(run())
