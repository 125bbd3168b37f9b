"""The broker's side of what a process produces: one idempotent client at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sluice_api.errors import DependencyError
from sluice_api.spec import Compression
from sluice_workers import kafka, wire
from sluice_workers.settings import KafkaConnection


@dataclass(frozen=True, slots=True)
class Message:
    """One message to send."""

    key: bytes
    value: bytes | None
    headers: wire.Headers
    timestamp: int | None = None
    """Epoch milliseconds; when it is sent, unless given."""


class Producer:
    """Sends messages; a fatal error of one client is the start of the next."""

    def __init__(self, connection: KafkaConnection, compression: Compression) -> None:
        self._connection = connection
        self._compression = compression
        self._client: AIOKafkaProducer | None = None
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Start a client unless there is one. Raises ``DependencyError``."""
        await self._opened()

    async def close(self) -> None:
        """Stop the client, sending what it still has."""
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Return when the broker has acknowledged all messages.

        Raises ``DependencyError``; then all of them must be sent again.
        """
        client = self._client or await self._opened()
        try:
            sent = [
                await client.send(
                    topic,
                    key=message.key,
                    value=message.value,
                    timestamp_ms=message.timestamp,
                    headers=list(message.headers),
                )
                for message in messages
            ]
            for acknowledged in sent:
                await acknowledged
        except KafkaError as error:
            await self._drop(client)
            raise DependencyError("BrokerUnreachable", f"topic {topic}: {error}") from error

    async def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions. Raises ``DependencyError``."""
        client = await self._opened()
        try:
            return sorted(await client.partitions_for(topic))
        except KafkaError as error:
            raise DependencyError("BrokerUnreachable", f"topic {topic}: {error}") from error

    async def _opened(self) -> AIOKafkaProducer:
        async with self._renewing:
            if self._client is None:
                opened = kafka.producer(self._connection, self._compression)
                try:
                    await opened.start()
                except KafkaError as error:
                    await opened.stop()
                    raise DependencyError(
                        "BrokerUnreachable", f"the broker does not answer: {error}"
                    ) from error
                self._client = opened
            return self._client

    async def _drop(self, broken: Any) -> None:
        """Drop a client that failed: after a fatal error it takes nothing any more."""
        if self._client is not None and self._client is broken:
            self._client = None
            with suppress(KafkaError):
                await broken.stop()
