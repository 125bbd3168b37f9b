"""The folder of a cluster's secrets: private, and never where git would take it along."""

import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice_api.errors import ConfigurationError
from sluice_talos.platform import Node, Platform

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600


@dataclass(frozen=True)
class Folder:
    """Where everything of one cluster is kept."""

    path: Path

    @property
    def secrets(self) -> Path:
        """The cluster's authorities and tokens: whoever has this file has the cluster."""
        return self.path / "secrets.yaml"

    @property
    def talosconfig(self) -> Path:
        """The administrator's certificate for Talos."""
        return self.path / "talosconfig"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's certificate for Kubernetes."""
        return self.path / "kubeconfig"

    @property
    def services(self) -> Path:
        """The manifests that hold the passwords of services."""
        return self.path / "services"

    @property
    def generated(self) -> Path:
        """What `gen config` makes for each role, before a node's own patches."""
        return self.path / "generated"

    def patch(self, node: Node, name: str) -> Path:
        """A patch with a node's values."""
        return self.path / "patches" / node.name / f"{name}.yaml"

    def config(self, node: Node) -> Path:
        """A node's machine configuration."""
        return self.path / "nodes" / f"{node.name}.yaml"


def folder_of(platform: Platform) -> Folder:
    """Return the folder that the platform names, or the default one."""
    if platform.folder is not None:
        return Folder(platform.folder.resolve())
    base = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return Folder(base / "sluice" / "clusters" / platform.cluster.name)


def prepare(folder: Folder) -> None:
    """Make the folder, private.

    Raises ``ConfigurationError`` where others could read it, or git would take it along.
    """
    refuse_tracked(folder)
    try:
        make_private(folder.path)
    except OSError as error:
        raise ConfigurationError(f"folder {folder.path} cannot be made: {error}") from error
    for path in (folder.path, *folder.path.rglob("*")):
        _refuse_open(path)


@contextmanager
def alone(folder: Folder) -> Iterator[None]:
    """Keep other runs out, and remove what an interrupted one left half written.

    Raises ``ConfigurationError`` while another run works on the same cluster.
    """
    with (folder.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another run works on {folder.path}: wait until it ends, or end it"
            ) from None
        for path in [*folder.path.rglob(".*.[0-9]*")]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield


def _refuse_open(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        wanted = PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE
        raise ConfigurationError(
            f"{path} has mode {mode:04o}, so others can reach the cluster's secrets:"
            f" chmod {wanted:04o} {path}"
        )


def refuse_tracked(folder: Folder) -> None:
    """Raise ``ConfigurationError`` when git would take the folder along."""
    around = next(parent for parent in (folder.path, *folder.path.parents) if parent.is_dir())
    inside = _git(around, "rev-parse", "--is-inside-work-tree")
    if inside is None or inside.stdout.strip() != "true":
        return
    ignored = _git(around, "check-ignore", "--quiet", "--no-index", f"{folder.path}/secrets.yaml")
    if ignored is not None and ignored.returncode == 0:
        return
    raise ConfigurationError(
        f"folder {folder.path} lies in a git work tree that does not ignore it, and would hold the"
        " cluster's secrets: give another `folder`, or add it to .gitignore"
    )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Ask git; None where there is no git, so nothing that would take secrets along."""
    try:
        return subprocess.run(  # noqa: S603 - fixed arguments and a path of the user's
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None


def make_private(path: Path) -> None:
    """Make a folder, and those around it that are missing, each for its owner alone."""
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    make_private(path.parent)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    unfinished.replace(path)
