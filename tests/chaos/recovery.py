"""Watches how far the jobs have come: how long each fault was felt, and whether all is done."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from aiokafka.errors import KafkaError

from chaos.faults import Fault
from chaos.producer import Load
from sluice_workers.write.refusal import GONE

LOOK: Final = 0.25
"""Seconds between two looks."""
DRAIN: Final = 90.0
"""Seconds after the last healing in which everything must be done, or the job is stuck."""
AFTERWARDS: Final = 3.0
"""Seconds for which more is produced when all is healed: it must be felt that all is well."""
_FAILURES: Final = (asyncpg.PostgresError, *GONE, KafkaError)

Places = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class _Felt:
    """A fault that was healed and is felt still."""

    fault: Fault
    since: float
    ends: Places
    at: Places


class Recovery:
    """Follows the offsets that are done."""

    def __init__(
        self, look: Callable[[], Awaitable[Places]], loads: Mapping[str, Load[Any]]
    ) -> None:
        """``look`` tells the next offset of each job's partitions."""
        self._ask = look
        self._loads = loads
        self._felt: list[_Felt] = []
        self.seconds: dict[Fault, float] = {}
        """For how long after its healing each fault was felt: until all was written that was in
        the topics at that moment, and something newer. Faults that followed are in it."""
        self.at: Places = {}
        """The next offset of each job's partitions, when it was seen last."""

    def healed(self, fault: Fault) -> None:
        """Note that a fault is healed now."""
        self._felt.append(_Felt(fault, time.monotonic(), self.ends(), self.at))

    def ends(self) -> Places:
        """Return the ends of the topics, as far as the broker has acknowledged them."""
        return {
            (name, partition): end
            for name, load in self._loads.items()
            for partition, end in load.ends.copy().items()
        }

    def reached(self, places: Places) -> bool:
        """Whether all was written up to there."""
        return all(self.at.get(place, 0) >= end for place, end in places.items())

    async def drain(self) -> float:
        """Wait until all is done, or for DRAIN seconds; return how long it took."""
        started = time.monotonic()
        while (passed := time.monotonic() - started) < DRAIN:
            if self.reached(self.ends()):
                break
            await asyncio.sleep(0.2)
        return passed

    async def run(self) -> None:
        """Look again and again, until cancelled; what knows may be away."""
        while True:
            with suppress(*_FAILURES):
                await self._look()
            self._settle(time.monotonic())
            await asyncio.sleep(LOOK)

    async def _look(self) -> None:
        async with asyncio.timeout(2):
            self.at = await self._ask()

    def _settle(self, now: float) -> None:
        for felt in self._felt.copy():
            if self.reached(felt.ends) and self._moved_since(felt.at):
                self.seconds[felt.fault] = now - felt.since
                self._felt.remove(felt)

    def _moved_since(self, before: Places) -> bool:
        """Whether every job has written something since."""
        return all(
            any(self.at[place] > before.get(place, 0) for place in self.at if place[0] == name)
            for name in self._loads
        )
