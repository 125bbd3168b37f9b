"""What is written to a job's records topic: at a bounded rate, whatever the broker does."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chaos.job import Job
from chaos.records import Item, Record, stream
from sluice_api.spec import Compression
from sluice_workers import kafka

RATE: Final = 100
"""Items a second."""
MOST: Final = 200
"""Items that are written at once when the broker was away for a while."""
TICK: Final = 0.1
"""Seconds between two writes."""


class Load:
    """Produces a job's stream, and knows how far the broker has acknowledged it."""

    def __init__(self, job: Job, seed: int) -> None:
        self._job = job
        self._items: Iterator[Item] = stream(seed)
        self._client: AIOKafkaProducer | None = None
        self.ends: dict[int, int] = {}
        """The offset after the last acknowledged record of each partition."""
        self.produced: dict[str, Record] = {}
        """Every record that may be in the topic, by its id."""
        self.acknowledged: set[str] = set()
        """The ids of those that must be."""

    async def run(self, seconds: float) -> None:
        """Produce for so many seconds, and on until all of it is acknowledged."""
        started, done = time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            due = min(int(passed * RATE) - done, MOST)
            await self._send([r for item in itertools.islice(self._items, due) for r in item])
            done += due
            await asyncio.sleep(TICK)
        await self._close()

    async def _send(self, records: Sequence[Record]) -> None:
        """Send records in order; after a failure all of them again, by a client of its own."""
        self.produced |= {record.id: record for record in records}
        while True:
            try:
                await self._try(records)
            except KafkaError:
                await self._close()
                await asyncio.sleep(TICK)
            else:
                self.acknowledged |= {record.id for record in records}
                return

    async def _try(self, records: Sequence[Record]) -> None:
        if self._client is None:
            self._client = kafka.producer(self._job.servers.kafka, Compression.LZ4)
            await self._client.start()
        topic = self._job.topic("records").name
        sent = [
            await self._client.send(
                topic, key=record.key.encode(), value=record.value, headers=list(record.headers)
            )
            for record in records
        ]
        for each in sent:
            place = await each
            self.ends[place.partition] = max(self.ends.get(place.partition, 0), place.offset + 1)

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError):
                await client.stop()
