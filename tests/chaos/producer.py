"""What is written to a job's topic: at a bounded rate, whatever the broker does."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sluice_api.spec import Compression
from sluice_workers import kafka, wire
from sluice_workers.settings import KafkaConnection

RATE: Final = 100
"""Items a second."""
MOST: Final = 200
"""Items that are written at once when the broker was away for a while."""
TICK: Final = 0.1
"""Seconds between two writes."""


class Sent(Protocol):
    """A message as it is produced; produced again it is the same in all."""

    @property
    def id(self) -> str:
        """Its own among all messages."""

    @property
    def key(self) -> str:
        """What decides the partition."""

    @property
    def value(self) -> bytes:
        """The message's value."""

    @property
    def headers(self) -> wire.Headers:
        """The message's headers."""


T = TypeVar("T", bound=Sent)


class Load(Generic[T]):
    """Produces a job's stream, and knows how far the broker has acknowledged it."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        stream: Iterator[Sequence[T]],
        rate: int = RATE,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._items = stream
        self._rate = rate
        self._client: AIOKafkaProducer | None = None
        self.ends: dict[int, int] = {}
        """The offset after the last acknowledged record of each partition."""
        self.produced: dict[str, T] = {}
        """Every message that may be in the topic, by its id."""
        self.acknowledged: set[str] = set()
        """The ids of those that must be."""

    async def run(self, seconds: float) -> None:
        """Produce for so many seconds, and on until all of it is acknowledged."""
        started, done = time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            due = min(int(passed * self._rate) - done, MOST)
            await self._send([r for item in itertools.islice(self._items, due) for r in item])
            done += due
            await asyncio.sleep(TICK)
        await self._close()

    async def _send(self, records: Sequence[T]) -> None:
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

    async def _try(self, records: Sequence[T]) -> None:
        if self._client is None:
            self._client = kafka.producer(self._connection, Compression.LZ4)
            await self._client.start()
        sent = [
            await self._client.send(
                self._topic,
                key=record.key.encode(),
                value=record.value,
                headers=list(record.headers),
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
