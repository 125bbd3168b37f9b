"""The command ``dev/cluster``: real Kubernetes clusters on this machine, for experiments."""

import os
import subprocess
import sys
from pathlib import Path

import click

from sluice_dev import cluster as clusters
from sluice_dev import images
from sluice_dev.artifacts import locked
from sluice_dev.errors import ClusterError
from sluice_dev.progress import Progress

NAME = click.option("--name", default="dev", show_default=True, help="The cluster's name.")
ANY = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class Commands(click.Group):
    """Commands whose failures are told in a sentence."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; turn its error into an exit code."""
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted: nothing of it is left running", err=True)
            sys.exit(130)


@click.group(cls=Commands)
def main() -> None:
    """Start, stop and use real Kubernetes clusters on this machine.

    Each is one process tree in namespaces of its own; your kubeconfig is neither read nor written.
    """


@main.command()
@NAME
@click.option("--services/--no-services", default=False, help="Load the backing services' images.")
def up(name: str, services: bool) -> None:
    """Start a cluster; the first time, build what it is made of (about eight minutes)."""
    progress = Progress()
    cluster = clusters.up(name, progress)
    if services:
        load_services(cluster, progress)
    progress.say(f"\nexport KUBECONFIG={cluster.layout.kubeconfig}")


def load_services(cluster: clusters.Cluster, progress: Progress) -> None:
    """Build and load the images of Kafka, Postgres and Redis."""
    archives = images.service_images(progress)
    with progress.step("loading the images of Kafka, Postgres and Redis"):
        for archive in archives:
            _load_once(cluster, archive)


def load_project(cluster: clusters.Cluster, progress: Progress) -> str:
    """Build and load this project's image; return its reference."""
    reference, archive = images.project_image(progress)
    with progress.step(f"loading {reference}"):
        _load_once(cluster, archive)
    return reference


def _load_once(cluster: clusters.Cluster, archive: Path) -> None:
    """Load an archive of the cache unless it was before: its folder's name tells its content."""
    mark = cluster.layout.state / "loaded" / archive.parent.name / archive.stem
    with locked(mark.with_suffix(".lock")):
        if not mark.exists():
            cluster.load(archive)
            mark.touch()


@main.command()
@NAME
@click.option("--all", "every", is_flag=True, help="All clusters of this machine.")
def down(name: str, every: bool) -> None:
    """Stop a cluster and remove all of it, its volumes too."""
    found = clusters.find_all() if every else [clusters.find(name)]
    progress = Progress()
    for cluster in found:
        if cluster is None:
            progress.say(f"there is no cluster {name}")
            continue
        with progress.step(f"removing cluster {cluster.layout.name}"):
            clusters.down(cluster)
    if not found:
        progress.say("there is no cluster")


@main.command()
def status() -> None:
    """List the clusters, and whether each runs."""
    for cluster in clusters.find_all():
        state = f"running, process {cluster.pid}" if cluster.pid else "stopped"
        click.echo(f"{cluster.layout.name}\t{state}\tKUBECONFIG={cluster.layout.kubeconfig}")


@main.command()
@NAME
@click.option("--lines", default=50, show_default=True, help="How many lines.")
@click.argument("component", required=False)
def logs(name: str, lines: int, component: str | None) -> None:
    """Show the end of a component's log; without a component, list them."""
    layout = clusters.running(name).layout
    if component is None:
        click.echo("\n".join(sorted(path.stem for path in layout.logs.glob("*.log"))))
    else:
        click.echo(clusters.log_tail(layout, component, lines))


@main.command(context_settings=ANY)
@NAME
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str, arguments: tuple[str, ...]) -> None:
    """Run kubectl as the cluster's administrator."""
    cluster = clusters.running(name)
    command = [str(cluster.kubectl_path), *arguments]
    sys.exit(subprocess.call(command, env={**os.environ, **cluster.environment}))


@main.command("exec", context_settings=ANY)
@NAME
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, command: tuple[str, ...]) -> None:
    """Run a command of this machine in the cluster's network, with the cluster's DNS."""
    cluster = clusters.running(name)
    arguments = cluster.in_network(command)
    os.execvpe(arguments[0], arguments, {**os.environ, **cluster.environment})  # noqa: S606


@main.command()
@NAME
def image(name: str) -> None:
    """Build this project's image, load it, and print its reference."""
    click.echo(load_project(clusters.running(name), Progress()))


@main.command()
@NAME
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(name: str, archive: Path) -> None:
    """Load an image archive (as docker save writes it)."""
    clusters.running(name).load(archive)
