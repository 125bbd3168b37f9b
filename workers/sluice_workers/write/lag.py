"""How far writing is behind: the broker's end offsets, less how far each partition is written.

The broker is asked, and not what the consumer has seen: while the database is down nothing is read.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

LOOK: Final = 2.0
"""Seconds between two looks."""


class Lag:
    """Measures the lag of what a consumer is assigned."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        assigned: Callable[[], Collection[TopicPartition]],
        written: Callable[[], Mapping[int, int]],
        note: Callable[[int], None],
    ) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._written = written
        """Returns the next offset to write of each partition of which it is known just now."""
        self._note = note
        """Called with the number of records that are not written yet."""
        self._reached: dict[TopicPartition, int] = {}
        """How far each partition was written when that was known last."""

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            with suppress(KafkaError):  # The loop that reads says so.
                self._note(await self.measure())
            await asyncio.sleep(LOOK)

    async def measure(self) -> int:
        """Return how many records are not written. Raises ``KafkaError``."""
        assigned = list(self._assigned())
        if not assigned:
            self._reached = {}
            return 0
        ends = await self._consumer.end_offsets(assigned)
        written = self._written()
        reached = {
            place: written[place.partition]
            if place.partition in written
            else self._reached.get(place)
            for place in assigned
        }
        self._reached = {
            place: await self._start(place) if at is None else at for place, at in reached.items()
        }
        return sum(max(0, ends[place] - at) for place, at in self._reached.items())

    async def _start(self, place: TopicPartition) -> int:
        """Return where a partition would be gone on with that this process never claimed."""
        committed: int | None = await self._consumer.committed(place)
        if committed is not None:
            return committed
        starts: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets([place])
        return starts[place]
