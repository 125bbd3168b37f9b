"""From an observation to the autoscaler's inputs, for fetchers and writers."""

from collections.abc import Sequence

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
from sluice_operator.observed import Job, Observation, TopicOffsets, Workers
from sluice_workers.state import PodState


def fetchers(job: Job, seen: Observation, last: Decision | None, rate: float | None) -> Decision:
    """Decide the number of fetcher pods; ``rate`` is what one was last seen to consume."""
    spec = job.spec
    in_flight = spec.fetcher.concurrency * spec.fetcher.processes
    limit = spec.source.rate_limit
    bounds = Bounds(
        minimum=spec.fetcher.replicas.min,
        maximum=spec.fetcher.replicas.max,
        partitions=_partitions(seen.items, spec),
        processes=spec.fetcher.processes,
        rate_limited=rate_limited_replicas(
            limit.requests / limit.per.seconds if limit and limit.per.seconds else None,
            latency(seen.fetcher.states),
            in_flight,
            rate,
        ),
    )
    assumed = int(in_flight * COLD_SECONDS)
    return _decide(spec, seen, seen.items, seen.fetcher, bounds, assumed, last, rate)


def writers(job: Job, seen: Observation, last: Decision | None, rate: float | None) -> Decision:
    """Decide the number of writer pods; ``rate`` is what one was last seen to consume."""
    spec = job.spec
    bounds = Bounds(
        minimum=spec.writer.replicas.min,
        maximum=spec.writer.replicas.max,
        partitions=_partitions(seen.records, spec),
    )
    assumed = int(spec.batch.max_size * COLD_SECONDS)
    return _decide(spec, seen, seen.records, seen.writer, bounds, assumed, last, rate)


def _decide(
    spec: IngestionJobSpec,
    seen: Observation,
    offsets: TopicOffsets | None,
    workers: Workers,
    bounds: Bounds,
    assumed: int,
    last: Decision | None,
    rate: float | None,
) -> Decision:
    policy = Policy(
        lag_per_replica=spec.scaling.lag_per_replica,
        catch_up=spec.scaling.catch_up.seconds,
        scale_down_after=spec.scaling.scale_down_after.seconds,
    )
    reading = Reading(
        lag=offsets.lag if offsets else None,
        replicas=workers.desired,
        rate_per_replica=rate,
        assumed_lag_per_replica=max(1, assumed),
    )
    return decide(reading, bounds, policy, last, seen.now)


def _partitions(offsets: TopicOffsets | None, spec: IngestionJobSpec) -> int:
    return len(offsets.ends) if offsets else spec.topics.partitions


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
