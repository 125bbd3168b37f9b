"""What must hold of fetchers whatever happened: a pure function of what was produced and is found.

Times are monotonic seconds of the one machine that all of it runs on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from chaos.fetch.items import Item
from chaos.verdict import Verdict

WINDOWS: Final = (1.0, 2.0, 5.0)
"""Seconds over which the rate is looked at."""
TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Message:
    """An item in the topic."""

    partition: int
    offset: int
    item: Item


@dataclass(frozen=True, slots=True)
class Request:
    """A line of the API's log."""

    at: float
    number: int
    status: int
    """0 as it begins."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end."""

    messages: Sequence[Message]
    requests: Sequence[Request]
    """In the order of time."""
    fetched: Collection[int]
    """The numbers that records were made from."""
    dead: Collection[int]
    """Those of dead items."""
    dead_keys: frozenset[str]
    """Keys that have failed, by the dead topic."""
    failed_keys: frozenset[str] | None
    """The failed set; None when it is not complete."""
    offsets: Mapping[int, int]
    """What the group has committed."""
    commits: Sequence[tuple[float, int, int]]
    """When a committed offset was seen: the time, the partition, the offset."""
    hurt: Sequence[tuple[float, float]]
    """From when to when faults were felt: items may be asked for again."""
    held_up: Sequence[tuple[float, float]]
    """From when to when requests on their way to the API were held up, and came together."""
    limit: float
    """Requests a second."""
    burst: int
    connections: Mapping[str, int]
    """The most that were open at once, by proxy; the sum of all under ``all``."""
    caps: Mapping[str, int]


@dataclass(slots=True)
class Wrong(Verdict):
    """What is wrong with the job."""

    lost: list[str] = field(default_factory=list)
    """Items that were passed, and neither fetched nor dead by then."""
    doubled: list[str] = field(default_factory=list)
    """Items that were fetched again although nothing was hurt."""
    reordered: list[str] = field(default_factory=list)
    """Items that were asked for before the one before them of their key was through."""
    stuck: list[str] = field(default_factory=list)
    """Partitions that were not fetched to their end."""
    over_limit: list[str] = field(default_factory=list)
    """Windows with more requests than the limit and its burst."""
    over_cap: list[str] = field(default_factory=list)
    """Proxies with more connections than their bound."""
    index: list[str] = field(default_factory=list)
    """Keys that the dead topic and the failed set do not agree on."""


def judge(evidence: Evidence) -> Wrong:
    """Compare what was produced with what is found."""
    begun, answered = _first(evidence, begins=True), _first(evidence, begins=False)
    return Wrong(
        lost=[*_lost(evidence), *_passed_early(evidence, begun, answered)],
        doubled=_doubled(evidence),
        reordered=_reordered(evidence, begun, answered),
        stuck=_stuck(evidence),
        over_limit=_over_limit(evidence),
        over_cap=[
            f"{name}: {most} connections, the bound is {evidence.caps[name]}"
            for name, most in evidence.connections.items()
            if most > evidence.caps[name]
        ],
        index=_index(evidence),
    )


def _first(evidence: Evidence, *, begins: bool) -> dict[int, float]:
    """Return when each item was asked for first, or answered well first."""
    found: dict[int, float] = {}
    for request in evidence.requests:
        if request.status == (0 if begins else 200):
            found.setdefault(request.number, request.at)
    return found


def _lost(evidence: Evidence) -> list[str]:
    found = []
    for message in evidence.messages:
        number = message.item.number
        where = f"item {number}, at {message.partition}/{message.offset}"
        if message.offset >= evidence.offsets.get(message.partition, 0):
            continue
        if number not in evidence.dead and number not in evidence.fetched:
            found.append(f"{where}: passed, neither fetched nor dead")
        elif message.item.kind == "bad" and number not in evidence.dead:
            found.append(f"{where}: fails for good, and is not dead")
    return found


def _passed_early(
    evidence: Evidence, begun: Mapping[int, float], answered: Mapping[int, float]
) -> list[str]:
    """An offset that was seen is beyond an item that was not through yet."""
    passed: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for at, partition, offset in evidence.commits:
        if not passed[partition] or offset > passed[partition][-1][0]:
            passed[partition].append((offset, at))
    found = []
    for message in evidence.messages:
        number = message.item.number
        seen = next((at for to, at in passed[message.partition] if to > message.offset), None)
        through = (begun if number in evidence.dead else answered).get(number)
        if seen is not None and (through is None or through > seen):
            found.append(f"item {number} was passed before it was through")
    return found


def _doubled(evidence: Evidence) -> list[str]:
    times: dict[int, list[float]] = defaultdict(list)
    for request in evidence.requests:
        if request.status == 200:
            times[request.number].append(request.at)
    places: dict[int, int] = defaultdict(int)
    for message in evidence.messages:
        places[message.item.number] += 1
    return [
        f"item {number} was fetched again after {after - before:.1f} s without a fault"
        for number, found in times.items()
        if places[number] == 1
        for before, after in pairwise(found)
        if not _within(evidence.hurt, before, after)
    ]


def _within(spans: Iterable[tuple[float, float]], first: float, last: float) -> bool:
    return any(start <= last and end >= first for start, end in spans)


def _reordered(
    evidence: Evidence, begun: Mapping[int, float], answered: Mapping[int, float]
) -> list[str]:
    """An item is asked for the first time after the one before it of its key was through.

    What is asked for again after a takeover was asked for before.
    """
    keys: dict[str, dict[int, None]] = defaultdict(dict)
    for message in sorted(evidence.messages, key=lambda each: each.offset):
        keys[message.item.key][message.item.number] = None
    return [
        f"item {later} of {key} was asked for before {earlier} was through"
        for key, numbers in keys.items()
        for earlier, later in pairwise(numbers)
        if later in begun
        and begun[later]
        < (begun if earlier in evidence.dead else answered).get(earlier, float("inf"))
    ]


def _stuck(evidence: Evidence) -> list[str]:
    ends: dict[int, int] = {}
    for message in evidence.messages:
        ends[message.partition] = max(ends.get(message.partition, 0), message.offset + 1)
    return [
        f"partition {partition} is at {evidence.offsets.get(partition, 0)}, its end is {end}"
        for partition, end in sorted(ends.items())
        if evidence.offsets.get(partition, 0) < end
    ]


def _over_limit(evidence: Evidence) -> list[str]:
    times = [request.at for request in evidence.requests if request.status == 0]
    found = []
    for window in WINDOWS:
        most = (evidence.limit * window + evidence.burst) * (1 + TOLERANCE)
        first = 0
        for last, at in enumerate(times):
            while times[first] <= at - window:
                first += 1
            count = last - first + 1
            if count > most and not _within(evidence.held_up, times[first], at):
                found.append(f"{count} requests in {window:.0f} s, up to {at:.2f}: over {most:.0f}")
    return found


def _index(evidence: Evidence) -> list[str]:
    if evidence.failed_keys is None:
        return ["the failed set is not complete"]
    return [
        *(f"{key} is not in the failed set" for key in evidence.dead_keys - evidence.failed_keys),
        *(f"{key} has not failed" for key in evidence.failed_keys - evidence.dead_keys),
    ]
