"""How large a batch may grow, between minSize and maxSize: what commits a record fastest. Pure.

The rule: sizes are rungs of a ladder, each twice the one below, from minSize to maxSize. A batch
that filled its rung counts with the seconds that a record of it cost. After ``LOOKS`` batches on a
rung the size goes down when the rung below was cheaper by more than ``GAIN``, else up when the one
above was, or was not tried yet. What was measured on other rungs is forgotten after ``MEMORY``
batches and they are tried again, so a database that changes is found out.
"""

from dataclasses import dataclass, replace
from typing import Final

LOOKS: Final = 4
GAIN: Final = 0.05
MEMORY: Final = 100
SHORTEST: Final = 50
LONGEST: Final = 250
"""Bounds of a stretch, in records."""
_WEIGHT: Final = 0.3
"""How much the newest batch counts in a rung's mean."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """The ladder, where on it the size is, and what each rung was seen to cost."""

    rungs: tuple[int, ...]
    at: int = 0
    costs: tuple[float | None, ...] = ()
    """Seconds a record, a rung each; None where nothing is known."""
    looks: int = 0
    """Batches since the last move."""
    age: int = 0
    """Batches since other rungs were forgotten."""

    @property
    def size(self) -> int:
        """Records that a batch may hold."""
        return self.rungs[self.at]


def ladder(least: int, most: int) -> Sizing:
    """Return where a writer begins: at the smallest size."""
    rungs = [least]
    while rungs[-1] * 2 < most:
        rungs.append(rungs[-1] * 2)
    if most > least:
        rungs.append(most)
    return Sizing(tuple(rungs), costs=(None,) * len(rungs))


def stretch(size: int) -> int:
    """Return how many records are parsed at a stretch while batches hold ``size``.

    A commit waits for the stretch to end at each of its round trips, so in small batches, whose
    commits are short, long ones cost the most; a record costs the more the shorter they are.
    """
    return max(SHORTEST, min(LONGEST, size // 10))


def observe(sizing: Sizing, records: int, seconds: float) -> Sizing:
    """Return what follows from a batch of ``records`` that took ``seconds`` to commit.

    One that did not fill its rung says nothing: there was no more to write.
    """
    if records < sizing.size:
        return sizing
    found = seconds / records
    known = sizing.costs[sizing.at]
    cost = found if known is None else known + _WEIGHT * (found - known)
    costs = _with(sizing.costs, sizing.at, cost)
    age = sizing.age + 1
    if age >= MEMORY:
        costs, age = _with((None,) * len(costs), sizing.at, cost), 0
    seen = replace(sizing, costs=costs, looks=sizing.looks + 1, age=age)
    if seen.looks < LOOKS:
        return seen
    return replace(seen, at=_next(seen, cost), looks=0)


def _next(sizing: Sizing, cost: float) -> int:
    def known(at: int) -> float | None:
        return sizing.costs[at] if 0 <= at < len(sizing.rungs) else cost

    below, above = known(sizing.at - 1), known(sizing.at + 1)
    enough = cost * (1 - GAIN)
    if below is not None and below < enough:
        return sizing.at - 1
    if above is None or above < enough:
        return sizing.at + 1
    return sizing.at - 1 if below is None else sizing.at


def _with(costs: tuple[float | None, ...], at: int, cost: float) -> tuple[float | None, ...]:
    return (*costs[:at], cost, *costs[at + 1 :])
