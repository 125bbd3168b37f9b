"""The command ``sluice``: mounts what the packages offer, imports each only when it is called."""

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

import click

from sluice_api import __version__

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "operator": ("sluice_operator.command", "Run the operator."),
    "seed": ("sluice_workers.seed.command", "Write a job's items to its items topic."),
    "fetch": ("sluice_workers.fetch.command", "Run a fetcher."),
    "write": ("sluice_workers.write.command", "Run a writer."),
    "archive": ("sluice_workers.archive.command", "Run an archiver."),
    "replay": ("sluice_workers.archive.replay_command", "Write an archive's records to a topic."),
    "redrive": ("sluice_operator.redrive_command", "Put a job's given-up items back."),
    "put-back": ("sluice_workers.redrive.command", "Put items back, in a pod of the job."),
    "cluster": ("sluice_talos.command", "Bring up a Kubernetes cluster on Talos Linux."),
    "migrate": ("sluice_workers.migrate", "Bring the sink's schema to its newest revision."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of the commands whose packages are installed: an image holds no bootstrap."""
        return [name for name, (module, _) in COMMANDS.items() if _installed(module)]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command's module and take its ``command``."""
        if name not in self.list_commands(_ctx):
            return None
        found = importlib.import_module(COMMANDS[name][0]).command
        if not isinstance(found, click.Command):
            raise TypeError(f"{COMMANDS[name][0]}.command must be a click command")
        return found


def _installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="sluice")
def main() -> None:
    """Sluice: ingestion jobs on Kubernetes."""
