"""From an observation to the autoscaler's inputs, for each role."""

from collections.abc import Sequence
from typing import Final

from sluice_api.spec import IngestionJobSpec
from sluice_operator.autoscaler import (
    COLD_SECONDS,
    Bounds,
    Decision,
    Policy,
    Reading,
    decide,
    rate_limited_replicas,
)
from sluice_operator.observed import Job, Observation, Role
from sluice_workers.state import PodState

ARCHIVED_A_SECOND: Final = 10_000
"""Records a second that an archiver is trusted with before its rate is seen."""


def replicas(
    role: Role, job: Job, seen: Observation, last: Decision | None, rate: float | None
) -> Decision:
    """Decide the number of pods of a role; ``rate`` is what one was last seen to consume."""
    spec = job.spec
    policy = Policy(
        lag_per_replica=spec.scaling.lag_per_replica,
        catch_up=spec.scaling.catch_up.seconds,
        scale_down_after=spec.scaling.scale_down_after.seconds,
    )
    offsets, workers = seen.offsets(role), seen.workers(role)
    reading = Reading(
        lag=offsets.lag if offsets else None,
        replicas=workers.desired,
        rate_per_replica=rate,
        assumed_lag_per_replica=max(1, _assumed(role, spec)),
        # What an archiver has in hand waits for its object, not for another pod.
        in_hand=_in_hand(workers.states) if role is Role.ARCHIVER else 0,
    )
    return decide(reading, _bounds(role, spec, seen, rate), policy, last, seen.now)


def _assumed(role: Role, spec: IngestionJobSpec) -> int:
    """Return the lag that a pod is started for until its rate is known."""
    a_second = {
        Role.FETCHER: spec.fetcher.concurrency * spec.fetcher.processes,
        Role.WRITER: spec.batch.max_size,
        Role.ARCHIVER: ARCHIVED_A_SECOND,
    }
    return int(a_second[role] * COLD_SECONDS)


def _bounds(role: Role, spec: IngestionJobSpec, seen: Observation, rate: float | None) -> Bounds:
    offsets = seen.offsets(role)
    partitions = len(offsets.ends) if offsets else spec.topics.partitions
    if role is Role.FETCHER:
        return _fetchers(spec, seen, partitions, rate)
    given = spec.writer.replicas if role is Role.WRITER else spec.archiver.replicas
    room = seen.room if role is Role.WRITER else None
    return Bounds(minimum=given.min, maximum=given.max, partitions=partitions, room=room)


def _fetchers(
    spec: IngestionJobSpec, seen: Observation, partitions: int, rate: float | None
) -> Bounds:
    in_flight = spec.fetcher.concurrency * spec.fetcher.processes
    limit = spec.source.rate_limit
    return Bounds(
        minimum=spec.fetcher.replicas.min,
        maximum=spec.fetcher.replicas.max,
        partitions=partitions,
        processes=spec.fetcher.processes,
        rate_limited=rate_limited_replicas(
            limit.requests / limit.per.seconds if limit and limit.per.seconds else None,
            latency(seen.fetcher.states),
            in_flight,
            rate,
        ),
    )


def _in_hand(states: Sequence[PodState]) -> int:
    return sum(process.in_flight for state in states for process in state.processes)


def rate_per_replica(states: Sequence[PodState], before: float | None) -> float | None:
    """Return the mean rate of the pods that did anything, else what was seen before."""
    rates = [sum(process.rate for process in state.processes) for state in states]
    busy = [rate for rate in rates if rate > 0]
    return sum(busy) / len(busy) if busy else before


def latency(states: Sequence[PodState]) -> float | None:
    """Return the mean seconds of a request, over the processes that made any."""
    found = [
        process.latency
        for state in states
        for process in state.processes
        if process.latency is not None
    ]
    return sum(found) / len(found) if found else None
