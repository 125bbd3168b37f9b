"""The broker's side of what a process produces: one idempotent client at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from sluice_api.errors import DependencyError, RecordTooLargeError
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

    @property
    def size(self) -> int:
        """Its bytes, before compression."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key) + len(self.value or b"") + headers


class Producer:
    """Sends messages; a fatal error of one client is the start of the next."""

    def __init__(self, connection: KafkaConnection, compression: Compression) -> None:
        self._connection = connection
        self._compression = compression
        self._client: AIOKafkaProducer | None = None
        self._batch_bytes = kafka.BATCH_BYTES
        self._renewing = asyncio.Lock()
        self._alone = asyncio.Lock()

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

        Raises ``DependencyError``; then all of them must be sent again. Raises
        ``RecordTooLargeError`` when the topic does not take one of them even alone; it may have
        taken others.
        """
        client = self._client or await self._opened()
        try:
            await _send(client, topic, messages)
        except MessageSizeTooLargeError:
            first = client is self._client
            await self._drop(client)
            await self._send_alone(topic, messages)
            if first:
                # None was too large, so the batch was: those of the next client are smaller.
                self._batch_bytes = max(1, self._batch_bytes // 2)
        except KafkaError as error:
            await self._drop(client)
            raise DependencyError("BrokerUnreachable", f"topic {topic}: {error}") from error

    async def _send_alone(self, topic: str, messages: Sequence[Message]) -> None:
        """Send each as a batch of its own: topics bound batches, which others may share.

        The largest come first, lest the others are taken when it is not.
        """
        async with self._alone:
            client = await self._started(batch_bytes=1)
            message = messages[0]
            try:
                for message in sorted(messages, key=lambda each: each.size, reverse=True):
                    await _send(client, topic, [message])
            except MessageSizeTooLargeError as error:
                raise RecordTooLargeError(
                    f"topic {topic} takes no message of {message.size} bytes: raise its"
                    " max.message.bytes, or have less kept of each record"
                ) from error
            except KafkaError as error:
                raise DependencyError("BrokerUnreachable", f"topic {topic}: {error}") from error
            finally:
                with suppress(KafkaError):
                    await client.stop()

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
                self._client = await self._started(self._batch_bytes)
            return self._client

    async def _started(self, batch_bytes: int) -> AIOKafkaProducer:
        client = kafka.producer(self._connection, self._compression, batch_bytes)
        try:
            await client.start()
        except KafkaError as error:
            await client.stop()
            raise DependencyError(
                "BrokerUnreachable", f"the broker does not answer: {error}"
            ) from error
        return client

    async def _drop(self, broken: Any) -> None:
        """Drop a client that failed: after a fatal error it takes nothing any more."""
        if self._client is not None and self._client is broken:
            self._client = None
            with suppress(KafkaError):
                await broken.stop()


async def _send(client: AIOKafkaProducer, topic: str, messages: Sequence[Message]) -> None:
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
