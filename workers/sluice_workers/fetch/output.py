"""The broker's side of what a fetcher produces: records, and items that were given up."""

import asyncio
import logging
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sluice_api.errors import DependencyError
from sluice_api.spec import Compression
from sluice_workers import kafka, wire
from sluice_workers.failures import Failures
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Fetched
from sluice_workers.settings import KafkaConnection, Topic

_LOG: Final = logging.getLogger(__name__)


class Output:
    """One idempotent producer at a time; a fatal error of one is the start of the next."""

    def __init__(
        self,
        connection: KafkaConnection,
        compression: Compression,
        records: Topic,
        failures: Failures,
    ) -> None:
        self._connection = connection
        self._compression = compression
        self._records = records
        self._failures = failures
        self._producer: AIOKafkaProducer | None = None
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Start a producer. Raises ``DependencyError``."""
        async with self._renewing:
            if self._producer is not None:
                return
            opened = kafka.producer(self._connection, self._compression)
            try:
                await opened.start()
            except KafkaError as error:
                await opened.stop()
                raise DependencyError(
                    "BrokerUnreachable", f"the broker does not answer: {error}"
                ) from error
            self._producer = opened

    async def close(self) -> None:
        """Stop the producer, sending what it still has."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def records(self, item: Item, fetched: Fetched) -> None:
        """Produce an item's records; return when the broker has acknowledged all of them.

        Raises ``DependencyError``; then the item must be produced again, whole.
        """
        producer = await self._opened()
        timestamp = int(fetched.at.timestamp() * 1000)
        try:
            sent = [
                await producer.send(
                    self._records.name,
                    key=item.key,
                    value=record,
                    timestamp_ms=timestamp,
                    headers=self._headers(item, ordinal),
                )
                for ordinal, record in enumerate(fetched.records)
            ]
            for acknowledged in sent:
                await acknowledged
        except KafkaError as error:
            await self._renew(producer)
            raise DependencyError("BrokerUnreachable", f"the records topic: {error}") from error

    async def dead(self, dead: wire.DeadItem) -> None:
        """Give an item up. Raises ``DependencyError``; then it must be given up again."""
        producer = await self._opened()
        try:
            await self._failures.give_up(producer, [dead])
        except DependencyError as error:
            if error.reason == "BrokerUnreachable":
                await self._renew(producer)
            raise

    def _headers(self, item: Item, ordinal: int) -> list[tuple[str, bytes]]:
        return [
            (wire.ITEM, item.id.encode()),
            (wire.ORDINAL, str(ordinal).encode()),
            (wire.VERSION, str(item.version).encode()),
            (wire.GENERATION, str(self._records.generation).encode()),
        ]

    async def _opened(self) -> AIOKafkaProducer:
        await self.open()
        if self._producer is None:
            raise DependencyError("BrokerUnreachable", "the producer was closed")
        return self._producer

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """Drop a producer that failed: after a fatal error it takes nothing any more."""
        async with self._renewing:
            held = self._producer
            if held is None or held is not broken:
                return
            self._producer = None
        try:
            await held.stop()
        except KafkaError as error:
            _LOG.info("while dropping a producer: %s", error)
