"""How many pods: a pure function of the lag and of what is known about the pods."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

COLD_SECONDS: Final = 10.0
"""Before a rate is known, a pod is trusted with this many seconds of its concurrency."""

REACHED: Final = 0.9
"""The share of a rate limit at which pods count as held back by it, and by nothing else."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A number of pods that something outside has room for."""

    replicas: int
    why: str
    """A sentence with the numbers it was made from."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What limits the number of pods whatever the lag."""

    minimum: int
    maximum: int
    partitions: int
    processes: int = 1
    rate_limited: int | None = None
    """The pods that the rate limit can feed, when both it and the latency are known."""
    room: Ceiling | None = None
    """The pods that the sink's database has connections for; it goes before the minimum."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user asks of scaling."""

    lag_per_replica: int | None
    catch_up: float
    """Seconds in which a backlog should be gone."""
    scale_down_after: float
    """Seconds for which fewer pods must have been enough."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a consumer group; ``lag`` is None when a partition could not be read."""

    lag: tuple[int, ...] | None
    replicas: int
    rate_per_replica: float | None
    """Messages a second that one pod consumes, when seen."""
    assumed_lag_per_replica: int
    """What a pod is started for until its rate is known."""
    in_hand: int = 0
    """Messages of the lag that the pods hold already: no other pod would help with them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A number of pods, and why."""

    replicas: int
    reason: str
    bound: str | None = None
    """The bound that held the number down."""
    fewer_since: datetime | None = None
    """Since when fewer pods would have been enough."""


def decide(
    reading: Reading, bounds: Bounds, policy: Policy, last: Decision | None, now: datetime
) -> Decision:
    """Decide how many pods there should be.

    More at once; fewer only when fewer have been enough for ``scale_down_after``. A reading with a
    hole changes nothing.
    """
    if reading.lag is None:
        since = last.fewer_since if last else None
        return Decision(reading.replicas, "the lag could not be read: no change", None, since)
    wanted = _bounded(_wanted(reading, policy), reading.lag, bounds)
    if wanted.replicas >= reading.replicas:
        return wanted
    since = (last.fewer_since if last else None) or now
    waited = now - since
    if waited >= timedelta(seconds=policy.scale_down_after):
        return wanted
    left = policy.scale_down_after - waited.total_seconds()
    reason = f"{wanted.replicas} would do; down in {left:.0f} s unless the lag grows"
    return Decision(reading.replicas, reason, wanted.bound, since)


def _wanted(reading: Reading, policy: Policy) -> Decision:
    lag = sum(reading.lag or ())
    if lag == 0:
        return Decision(0, "no lag")
    lag = max(1, lag - reading.in_hand)
    if policy.lag_per_replica is not None:
        each, why = policy.lag_per_replica, "lagPerReplica"
    elif reading.rate_per_replica:
        each = max(1, int(reading.rate_per_replica * policy.catch_up))
        why = f"{reading.rate_per_replica:.0f}/s each for {policy.catch_up:.0f} s"
    else:
        each, why = reading.assumed_lag_per_replica, "assumed until a rate is seen"
    return Decision(math.ceil(lag / each), f"lag {lag}, {each} a pod ({why})")


def _bounded(wanted: Decision, lag: tuple[int, ...], bounds: Bounds) -> Decision:
    fed = math.ceil(bounds.partitions / bounds.processes)
    with_lag = math.ceil(sum(1 for each in lag if each) / bounds.processes)
    ceilings = {
        f"replicas.max is {bounds.maximum}": bounds.maximum,
        f"{bounds.partitions} partitions feed {fed} pods": fed,
        f"only {with_lag} pods' partitions have lag": with_lag,
    }
    if bounds.rate_limited is not None:
        ceilings[f"the rate limit feeds {bounds.rate_limited} pods"] = bounds.rate_limited
    if bounds.room is not None:
        ceilings[bounds.room.why] = bounds.room.replicas
    bound, ceiling = min(ceilings.items(), key=lambda item: item[1])
    floor = min(bounds.minimum, bounds.maximum, fed)
    if bounds.room is not None and bounds.room.replicas < floor:
        held = bounds.room
        return Decision(held.replicas, f"{wanted.reason}; {held.why}", held.why)
    replicas = max(floor, min(wanted.replicas, ceiling))
    if replicas < wanted.replicas:
        return Decision(replicas, f"{wanted.reason}; {bound}", bound)
    if replicas > wanted.replicas:
        return Decision(replicas, f"{wanted.reason}; replicas.min is {bounds.minimum}")
    return wanted


def rate_limited_replicas(
    per_second: float | None,
    latency: float | None,
    in_flight_per_replica: int,
    rate_per_replica: float | None,
) -> int | None:
    """Return the pods that a rate limit can feed; None before the latency is known.

    By Little's law rate x latency requests are in flight and no more. Pods that reach less than
    their slots would allow, for want of CPU, are as many as reach the limit together.
    """
    if per_second is None or latency is None:
        return None
    replicas = per_second * latency / in_flight_per_replica
    if rate_per_replica:
        replicas = max(replicas, REACHED * per_second / rate_per_replica)
    return max(1, math.ceil(replicas))
