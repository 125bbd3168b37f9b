"""The search for rows that Postgres refuses, in one transaction: merge what can be merged.

Rows are tried in runs from the first on, each run within a savepoint, so what is decided is always
a prefix. ``Pace`` says how long the next run is: half of a run that was refused, twice one that was
merged, and after a refused row as many as were merged before it, twice. One refused row among n
costs some 2 log2(n) tries, and n of them n: rows of a stretch that is refused are tried one by one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sluice_workers.write import exchange
from sluice_workers.write.batch import newest
from sluice_workers.write.exchange import Refused
from sluice_workers.write.message import Message
from sluice_workers.write.refusal import ERRORS, Kind, kind, may_pass_later
from sluice_workers.write.row import Row
from sluice_workers.write.session import Transaction

FOREVER: Final = float("inf")
Pair = tuple[Message, Row]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the next run is. Pure; all are numbers of rows."""

    size: int
    """What to try next, at the least 1."""
    good: int = 0
    """What was merged since the last refused row."""
    bad: int = 0
    """Among how many of the next ones one was refused; 0 when nothing is known of them."""

    @classmethod
    def after(cls, refused: int) -> "Pace":
        """Begin with rows that were refused together."""
        return cls(max(1, refused // 2), 0, refused)

    def merged(self, run: int) -> "Pace":
        """Go on after a run that was merged."""
        bad = max(0, self.bad - run)
        return Pace(max(1, bad // 2) if bad else 2 * run, self.good + run, bad)

    def refused(self, run: int) -> "Pace":
        """Go on after a run that was refused: its rows are to be tried again unless it was one."""
        if run > 1:
            return Pace(run // 2, self.good, run)
        return Pace(max(1, 2 * self.good))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a search."""

    decided: int
    """How many rows, from the first on, are either merged or refused."""
    refused: list[Refused]
    pace: Pace
    """Where the next search goes on."""


class Search:
    """Searches within one transaction."""

    def __init__(self, transaction: Transaction, identity: Callable[[Row], Any]) -> None:
        self._transaction = transaction
        self._identity = identity

    async def search(self, pairs: Sequence[Pair], pace: Pace, seconds: float) -> Found:
        """Merge rows until all are decided, or until some seconds are over and one is.

        Rows that were refused for another's sake are tried again after the others, and those that
        exchange values step aside first. Raises what asyncpg raises unless a row is at fault.
        """
        found = await self._decide(pairs, pace, seconds)
        refused = found.refused
        while later := [each for each in refused if may_pass_later(each[2])]:
            again = await self._refused([(message, row) for message, row, _ in later])
            if len(again) == len(later):
                break
            refused = [each for each in refused if not may_pass_later(each[2])] + again
        return Found(found.decided, await self._exchange(refused), found.pace)

    async def _decide(self, pairs: Sequence[Pair], pace: Pace, seconds: float) -> Found:
        deadline = time.monotonic() + seconds
        refused: list[Refused] = []
        at = 0
        while at < len(pairs) and (at == 0 or time.monotonic() < deadline):
            run = pairs[at : at + pace.size]
            error = await self._transaction.attempt(newest([row for _, row in run], self._identity))
            if error is None or len(run) == 1:
                at += len(run)
            if error is None:
                pace = pace.merged(len(run))
                continue
            if len(run) == 1:
                refused.append((*run[0], error))
            pace = pace.refused(len(run))
        return Found(at, refused, pace)

    async def _refused(self, pairs: Sequence[Pair]) -> list[Refused]:
        return (await self._decide(pairs, Pace(len(pairs)), FOREVER)).refused

    async def _exchange(self, refused: list[Refused]) -> list[Refused]:
        """Merge those that exchange unique values among themselves; return the others."""
        moving = [each for each in refused if exchange.is_in_the_way(each[2])]
        for _ in range(exchange.ROUNDS):
            if len(moving) < 2:  # noqa: PLR2004  nobody exchanges anything alone
                break
            left = {id(message) for message, _, _ in await self._together(moving)}
            merged = {id(message) for message, _, _ in moving} - left
            if not left:
                return [each for each in refused if id(each[0]) not in merged]
            moving = [each for each in moving if id(each[0]) in merged]
        return refused

    async def _together(self, moving: list[Refused]) -> list[Refused]:
        """Merge rows that all stepped aside before; return who was in the way: then none is."""
        pairs = [(message, row) for message, row, _ in moving]
        refused = moving

        async def merged() -> bool:
            nonlocal refused
            refused = await self._refused(pairs)
            return not refused

        rows = newest([row for _, row in pairs], self._identity)
        try:
            await self._transaction.exchange(rows, merged)
        except ERRORS as error:
            if kind(error) is not Kind.RECORD:
                raise
            return moving  # a trigger or a constraint wants no NULL
        return refused
