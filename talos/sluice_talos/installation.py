"""What is installed into the cluster, and by which calls. Nothing is done here."""

from dataclasses import dataclass

from sluice_talos.folder import Folder
from sluice_talos.platform import Platform


@dataclass(frozen=True)
class Call:
    """A program and its arguments; none of them is a secret."""

    program: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A service, or the first job."""

    title: str
    why: str
    calls: tuple[Call, ...]


def installation(platform: Platform, folder: Folder) -> tuple[Part, ...]:
    """Return the parts that the platform wants, in order."""
    del platform, folder
    return ()
