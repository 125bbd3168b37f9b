"""The real talosctl, and nodes on loopback addresses that speak the real machine API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_dev.binaries import kubernetes
from sluice_dev.progress import Progress
from sluice_dev.talos import manifestcheck as build_manifestcheck
from sluice_dev.talos import talos_node
from sluice_dev.talos import talosctl as build_talosctl
from talos_lab import Lab, lab


@pytest.fixture(scope="session")
def talosctl() -> Path:
    return build_talosctl(Progress())


@pytest.fixture(scope="session")
def talosnode() -> Path:
    return talos_node(Progress())


@pytest.fixture(scope="session")
def manifestcheck() -> Path:
    return build_manifestcheck(Progress())


@pytest.fixture(scope="session")
def kubectl() -> Path:
    return kubernetes(Progress()) / "kubectl"


@pytest.fixture
def make_lab(tmp_path: Path, talosctl: Path, talosnode: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(control_planes: int = 1, workers: int = 0, **changes: Any) -> Lab:
        labs.append(lab(tmp_path, talosctl, talosnode, control_planes, workers, **changes))
        return labs[-1]

    yield make
    for made in labs:
        for process in made.started:
            process.terminate()
            process.wait(10)
