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
LOCK: Final = ".lock"
_SAMPLES: Final = (  # each kind of file that holds secrets
    "secrets.yaml",
    "talosconfig",
    "kubeconfig",
    "nodes/one.yaml",
    "generated/worker.yaml",
    "services/s3.yaml",
    ".unfinished/0",
)


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
    def unfinished(self) -> Path:
        """What is being written: whole, it is moved to its place."""
        return self.path / ".unfinished"

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
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".config"
    return Folder((base / "sluice" / "clusters" / platform.cluster.name).resolve())


def prepare(folder: Folder) -> None:
    """Make the folder, private.

    Raises ``ConfigurationError`` where git would take it along, or something else is in it.
    """
    refuse_tracked(folder)
    try:
        _refuse_foreign(folder)
        make_private(folder.unfinished)
    except OSError as error:
        raise ConfigurationError(f"folder {folder.path} cannot be made: {error}") from error


@contextmanager
def alone(folder: Folder) -> Iterator[None]:
    """Keep other runs out, and remove what an interrupted one left half written.

    Raises ``ConfigurationError`` while another run works on the same cluster, and where others
    could read what is in the folder.
    """
    with _locked(folder):
        try:
            for path in (folder.path, *folder.path.rglob("*")):
                _refuse_open(path)
            shutil.rmtree(folder.unfinished)
            make_private(folder.unfinished)
        except OSError as error:
            raise ConfigurationError(f"folder {folder.path} cannot be used: {error}") from error
        yield


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    try:
        lock = os.open(folder.path / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError as error:
        raise ConfigurationError(f"folder {folder.path} cannot be used: {error}") from error
    with os.fdopen(lock):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another run works on {folder.path}: wait until it ends, or end it"
            ) from None
        yield


def _refuse_foreign(folder: Folder) -> None:
    """What is not a cluster's is not touched: neither its modes nor its files."""
    own = {LOCK, folder.secrets.name}
    found = {path.name for path in folder.path.iterdir()} if folder.path.exists() else set[str]()
    if found and not found & own:
        raise ConfigurationError(
            f"folder {folder.path} holds other things, such as {min(found)}: `folder` must be one"
            " for this cluster alone"
        )


def _refuse_open(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        wanted = PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE
        raise ConfigurationError(
            f"{path} has mode {mode:04o}, so others can reach the cluster's secrets:"
            f" chmod {wanted:04o} {path}"
        )


def refuse_tracked(folder: Folder) -> None:
    """Raise ``ConfigurationError`` when git would take the folder, or a file in it, along.

    Where git does not say that it ignores all of it, it might: it is not installed here, or refuses
    a work tree of another user's.
    """
    places = (folder.path, *folder.path.parents)
    around = next((place for place in places if (place / ".git").exists()), None)
    if around is None:
        return
    kept = "".join(f"{folder.path / name}\0" for name in _SAMPLES)
    if _git(around, "check-ignore", "-z", "--stdin", given=kept) == kept:
        return
    raise ConfigurationError(
        f"folder {folder.path} lies in the git work tree {around} that does not ignore all of it,"
        " and would hold the cluster's secrets: give another `folder`, or add it to .gitignore"
    )


def _git(folder: Path, *arguments: str, given: str) -> str:
    """Return what git says of a work tree, whatever the variables of a hook say; or nothing."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - fixed arguments and paths of the user's
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            input=given,
        ).stdout
    except FileNotFoundError:
        return ""


def make_private(path: Path) -> None:
    """Make a folder, and those around it that are missing, each for its owner alone."""
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def write_private(folder: Folder, path: Path, content: str) -> None:
    """Write a file of the folder that only its owner can read, whole or not at all."""
    make_private(path.parent)
    unfinished = folder.unfinished / "text"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    unfinished.replace(path)
