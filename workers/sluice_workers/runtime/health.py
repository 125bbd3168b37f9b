"""What the supervisor knows of its children, and what follows for probes and ``/state``; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sluice_workers.state import PodState, ProcessState

FROZEN_AFTER: Final = 30.0
"""Seconds without a heartbeat after which a running child counts as frozen."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A child as the supervisor last saw it."""

    state: ProcessState
    heartbeat: float | None
    """When it was last heard of (monotonic seconds); None while it waits to be started again."""


def frozen(sightings: Sequence[Sighting], now: float) -> list[int]:
    """The children that run and have not been heard of for too long.

    A child that waits to be started again is not among them: starting the pod again would take
    its healthy neighbours down and heal nothing.
    """
    return [
        sighting.state.process
        for sighting in sightings
        if sighting.heartbeat is not None and now - sighting.heartbeat > FROZEN_AFTER
    ]


def unready(sightings: Sequence[Sighting]) -> list[int]:
    """The children that do not run or say that they are not ready."""
    return [
        sighting.state.process
        for sighting in sightings
        if sighting.heartbeat is None or not sighting.state.ready
    ]


def pod_state(role: str, sightings: Sequence[Sighting]) -> PodState:
    """What ``/state`` shows."""
    return PodState(role=role, processes=tuple(sighting.state for sighting in sightings))
