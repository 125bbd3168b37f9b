"""The cgroup below which the kubelet makes those of the pods, in both versions of cgroups."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sluice_dev.errors import ClusterError

ROOT: Final = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """List the mounted hierarchies: one in version 2, one a controller in version 1.

    Beside those of version 1 there may be one of version 2 without controllers, ``unified``.
    """
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.is_symlink()]


def create(name: str) -> None:
    """Make the cluster's cgroup in every hierarchy."""
    for hierarchy in hierarchies():
        folder = hierarchy / name
        if hierarchy.name == "unified":
            continue
        folder.mkdir(exist_ok=True)
        if hierarchy == ROOT:
            controllers = (ROOT / "cgroup.controllers").read_text().split()
            enable = " ".join(f"+{controller}" for controller in controllers)
            (ROOT / "cgroup.subtree_control").write_text(enable)
            (folder / "cgroup.subtree_control").write_text(enable)
        if (folder / "cpuset.cpus").exists() and hierarchy != ROOT:
            for file in ("cpuset.cpus", "cpuset.mems"):
                (folder / file).write_text((hierarchy / file).read_text())


def remove(name: str, timeout: float = 10) -> None:
    """Remove the cluster's cgroups, waiting at most ``timeout`` seconds for the last process."""
    deadline = time.monotonic() + timeout
    for folder in (hierarchy / name for hierarchy in hierarchies()):
        while folder.exists():
            _remove_tree(folder)
            if folder.exists():
                if time.monotonic() > deadline:
                    raise ClusterError(f"{folder} still holds processes: look at its cgroup.procs")
                time.sleep(0.1)


def _remove_tree(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir():
            _remove_tree(child)
    with suppress(OSError):
        folder.rmdir()
