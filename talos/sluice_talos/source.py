"""Reading ``platform.yaml``."""

from pathlib import Path

from sluice_talos import checks, document
from sluice_talos.platform import Patches, Platform


def read_platform(path: Path) -> Platform:
    """Read and check the file; paths in it become absolute, seen from its folder.

    Raises ``ConfigurationError`` with the line of every fault.
    """
    found = document.read(path)
    platform = document.parse(found, Platform)
    if faults := checks.faults(platform):
        raise found.refusal(faults)
    return _absolute(platform, path.absolute().parent)


def _absolute(platform: Platform, folder: Path) -> Platform:
    def seen(paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder / path.expanduser() for path in paths)

    patches = Patches(
        all=seen(platform.patches.all),
        control_plane=seen(platform.patches.control_plane),
        worker=seen(platform.patches.worker),
    )
    nodes = tuple(
        node.model_copy(update={"patches": seen(node.patches)}) for node in platform.nodes
    )
    own = folder / platform.folder.expanduser() if platform.folder else None
    return platform.model_copy(update={"patches": patches, "nodes": nodes, "folder": own})
