"""Metrics of several processes as one exposition.

Each child writes its values to files of a shared folder, named by its number rather than by its
process id: a child that is started again goes on counting where it stopped, and the number of
files stays bounded.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from sluice_workers.runtime.health import Sighting

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def share_metrics(folder: Path, process: int) -> None:
    """Make the metrics that this child is about to define part of the pod's."""
    os.environ[FOLDER_VARIABLE] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, process: int) -> None:
    """Drop the gauges (those of a ``live…`` mode) of a child that ended; its counters stay."""
    mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]


def exposition(folder: Path, sightings: Callable[[], Sequence[Sighting]]) -> bytes:
    """All children's metrics, summed, and the supervisor's own, in the Prometheus text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(_Children(sightings))
    return generate_latest(registry)


class _Children(Collector):
    """What only the supervisor knows."""

    def __init__(self, sightings: Callable[[], Sequence[Sighting]]) -> None:
        self._sightings = sightings

    def collect(self) -> Iterator[Metric]:
        """Readiness and restarts of each child."""
        ready = Metric("sluice_process_ready", "Whether a process is ready.", "gauge")
        restarts = Metric("sluice_process_restarts", "Starts after the first.", "counter")
        for sighting in self._sightings():
            labels = {"process": str(sighting.state.process)}
            running = sighting.heartbeat is not None
            ready.add_sample(ready.name, labels, float(running and sighting.state.ready))
            restarts.add_sample(f"{restarts.name}_total", labels, sighting.state.restarts)
        yield ready
        yield restarts
