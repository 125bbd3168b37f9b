"""Talos's client, and nodes that speak Talos's machine API, both built from Talos's Go modules."""

from pathlib import Path
from typing import Final

from sluice_dev.artifacts import artifact
from sluice_dev.paths import DEV
from sluice_dev.processes import require, run
from sluice_dev.progress import Progress

BUILD: Final = ("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w")
GO: Final = frozenset({".go", ".mod", ".sum"})
COURTEOUS: Final = ("nice", "-n", "19")
"""Whatever else the machine does goes first: this build takes minutes and nobody looks at it."""


def talosctl(progress: Progress) -> Path:
    """Return the ``talosctl`` program of the version that dev/talosctl/go.mod pins (5 minutes)."""
    return _program("talosctl", progress)


def talos_node(progress: Progress) -> Path:
    """Return the program ``talosnode``: nodes without an operating system (half a minute)."""
    return _program("talosnode", progress)


def manifestcheck(progress: Progress) -> Path:
    """Return the program ``manifestcheck``: strict reading of manifests, without a cluster."""
    return _program("manifestcheck", progress)


def _program(name: str, progress: Progress) -> Path:
    """Build the Go module ``dev/NAME`` into the program NAME. Raises ``ClusterError``."""

    def build(folder: Path) -> None:
        require("go", "install Go 1.26 or newer: Talos's tools are built from their modules")
        command = [*COURTEOUS, *BUILD, "-o", str(folder / name), "."]
        run(command, cwd=DEV / name, env={"CGO_ENABLED": "0"})

    sources = sorted(path for path in (DEV / name).iterdir() if path.suffix in GO)
    return artifact(name, [*BUILD, *sources], build, progress, keep=2) / name
