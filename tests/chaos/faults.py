"""Faults and when they strike: a pure function of a seed.

A fault is injected at one moment and healed at another; both take no time to speak of, so a
schedule means the same on a fast machine and on a slow one.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

POSTGRES: Final = "postgres"
KAFKA: Final = "kafka"
REDIS: Final = "redis"
MEMBER: Final = "member"
"""In the menu: any of the pods that are hurt."""
TOGETHER: Final = 2
"""So many faults are injected and not healed at once, at most."""
FIRST: Final = 1.0
"""Seconds before the first fault."""
GAPS: Final = (0.3, 3.0)
"""Bounds of the seconds from one fault to the next."""
CALM: Final = 12.0
"""Seconds that some gaps last: work gets done, to be broken again."""
CALMS: Final = 0.15
"""The share of such gaps."""


class Kind(StrEnum):
    """What happens, and what heals it."""

    KILL = "SIGKILL"
    """All processes of the target; they are started again."""
    TERMINATE = "SIGTERM"
    """As Kubernetes ends a pod: what has not ended in time is killed; then started again."""
    STOP = "SIGSTOP"
    """All processes of the target; SIGCONT."""
    IMMEDIATE = "pg_ctl stop -m immediate"
    """Postgres goes without a checkpoint; it is started again."""
    CHILD = "SIGKILL, one process"
    """A writer's worker under its supervisor, or the backend that serves a writer; heals itself."""
    CUT = "cut"
    """No packet passes between target and peer; they pass again."""
    MUTE = "answers lost"
    """No packet of the peer reaches the target, while the peer still gets the target's."""
    ISOLATE = "link down"
    """The target reaches nobody; its link is up again."""
    FLUSH = "FLUSHALL"
    """Redis loses everything; heals itself."""
    LIMIT = "answers 429"
    """The API refuses each request; it answers again."""
    FAIL = "answers 500"
    """The same with its own failure."""
    HANG_UP = "hangs up"
    """The API closes each connection instead of answering."""


MODES: Final = frozenset({Kind.LIMIT, Kind.FAIL, Kind.HANG_UP})
"""What an API answers instead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; times in seconds."""

    at: float
    """Since the schedule's start."""
    lasts: float
    kind: Kind
    target: str
    peer: str | None = None
    """The other end of a broken connection."""

    @property
    def healed(self) -> float:
        """When it is healed, since the schedule's start."""
        return self.at + self.lasts

    @property
    def touches(self) -> tuple[str, ...]:
        """What a second fault must not change before this one is healed."""
        if self.kind is Kind.ISOLATE:
            return ("link", self.target)
        if self.kind in {Kind.CUT, Kind.MUTE}:
            return ("connection", *sorted((self.target, self.peer or "")))
        if self.kind is Kind.FLUSH:
            return ("data", self.target)
        if self.kind in MODES:
            return ("answers", self.target)
        return ("processes", self.target)

    def __str__(self) -> str:
        """What a person reads in a run's log."""
        between = f" from {self.peer}" if self.peer else ""
        return f"{self.at:6.1f} s  {self.target}{between}: {self.kind}, {self.lasts:.1f} s"


SUCCEEDED: Final = (11.0, 18.0)
"""Seconds after which a writer that was silent has a successor: a session of its group ends after
ten, and what it had in hand it still has in hand when it wakes up."""


@dataclass(frozen=True, slots=True)
class Dish:
    """What the menu offers, ``weight`` times in each round."""

    weight: int
    kind: Kind
    target: str
    lasts: tuple[float, float]
    """Bounds in seconds."""
    peer: str | None = None


MENU: Final = (
    Dish(3, Kind.KILL, MEMBER, (0.2, 4)),
    Dish(2, Kind.TERMINATE, MEMBER, (1, 6)),
    Dish(2, Kind.STOP, MEMBER, (0.5, 8)),
    Dish(3, Kind.STOP, MEMBER, SUCCEEDED),
    Dish(2, Kind.CHILD, MEMBER, (0.1, 0.1)),
    Dish(2, Kind.KILL, POSTGRES, (0.2, 3)),
    Dish(2, Kind.IMMEDIATE, POSTGRES, (0.2, 3)),
    Dish(2, Kind.STOP, POSTGRES, (0.5, 12)),
    Dish(2, Kind.CHILD, POSTGRES, (0.1, 0.1), MEMBER),
    Dish(2, Kind.KILL, KAFKA, (0.2, 3)),
    Dish(2, Kind.STOP, KAFKA, (0.5, 12)),
    Dish(1, Kind.KILL, REDIS, (0.2, 4)),
    Dish(3, Kind.CUT, MEMBER, (0.5, 14), POSTGRES),
    Dish(1, Kind.CUT, MEMBER, (0.5, 8), KAFKA),
    Dish(1, Kind.CUT, MEMBER, SUCCEEDED, KAFKA),
    Dish(3, Kind.MUTE, MEMBER, (0.5, 14), POSTGRES),
    Dish(2, Kind.MUTE, MEMBER, (0.5, 14), KAFKA),
    Dish(2, Kind.ISOLATE, MEMBER, (1, 16)),
    Dish(1, Kind.ISOLATE, POSTGRES, (1, 8)),
    Dish(1, Kind.ISOLATE, KAFKA, (1, 8)),
)


def schedule(
    seed: int, count: int, members: Sequence[str], menu: Sequence[Dish] = MENU
) -> tuple[Fault, ...]:
    """Return ``count`` faults in the order in which they strike, the same for the same arguments.

    Each is healed; no two that are not healed touch the same thing, nor are there more than
    ``TOGETHER`` of them.
    """
    chance = random.Random(seed)
    dishes = _rounds(chance, menu)
    found: list[Fault] = []
    now = FIRST
    for _ in range(count):
        fault = _served(next(dishes), now, members, chance)
        while blocking := _blocking(fault, found):
            now = min(other.healed for other in blocking)
            fault = Fault(now, fault.lasts, fault.kind, fault.target, fault.peer)
        found.append(fault)
        now += CALM if chance.random() < CALMS else chance.uniform(*GAPS)
    return tuple(found)


def length(faults: Sequence[Fault]) -> float:
    """Return the seconds until everything is healed."""
    return max((fault.healed for fault in faults), default=0.0)


def _rounds(chance: random.Random, dishes: Sequence[Dish]) -> Iterator[Dish]:
    """Serve the whole menu in ever new orders, so that few faults have most kinds among them."""
    menu = [dish for dish in dishes for _ in range(dish.weight)]
    while True:
        chance.shuffle(menu)
        yield from menu


def _served(dish: Dish, now: float, members: Sequence[str], chance: random.Random) -> Fault:
    member = chance.choice(members)
    target = member if dish.target == MEMBER else dish.target
    peer = member if dish.peer == MEMBER else dish.peer
    return Fault(round(now, 2), round(chance.uniform(*dish.lasts), 2), dish.kind, target, peer)


def _blocking(fault: Fault, before: Sequence[Fault]) -> list[Fault]:
    """Return the faults that must be healed, one at least, before this one may strike."""
    going_on = [other for other in before if other.healed > fault.at]
    same = [other for other in going_on if other.touches == fault.touches]
    return same or (going_on if len(going_on) >= TOGETHER else [])
