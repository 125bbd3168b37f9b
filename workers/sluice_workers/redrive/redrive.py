"""Puts given-up items back into the items topic: each once, whoever asks and whatever dies.

An item and the mark that it was put back are written in one transaction of the broker, under one
transactional id a job. Who starts a redrive ends what another of the job has left open, and fences
it: what the dead topic says after the start is all that was put back, and nobody else adds to it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced

from sluice_api.errors import DependencyError
from sluice_workers import dead_topic, kafka, wire
from sluice_workers.dead_topic import Failed, Standing
from sluice_workers.producer import Message
from sluice_workers.redrive.original import Originals
from sluice_workers.settings import KafkaConnection, RedriveSettings
from sluice_workers.state import RedriveReport

CHUNK: Final = 500
"""Items that one transaction puts back at the most."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead topic, and what was read in it."""

    failed: Failed
    message: Any


async def redrive(folder: Path) -> RedriveReport:
    """Put back what the folder's settings choose, and tell how much that was.

    May be run again after it failed, with the same outcome. Raises ``ConfigurationError`` or
    ``DependencyError``.
    """
    settings = RedriveSettings.read(folder, "put-back")
    connection = KafkaConnection.read(folder)
    producer = _producer(settings, connection)
    try:
        await producer.start()
        readers = [
            kafka.reader(
                connection,
                topic.name,
                await producer.partitions_for(topic.name),
                isolation="read_committed",
            )
            for topic in (settings.dead, settings.items)
        ]
        async with readers[0] as letters, readers[1] as items:
            originals = Originals(items, settings.items)
            return await Redrive(settings, producer, letters, originals).run()
    except (ProducerFenced, IllegalOperation) as error:  # the second, once it has been told
        raise DependencyError(
            "RedriveFenced", "another redrive of the job began and goes on with what is left"
        ) from error
    except KafkaError as error:
        raise DependencyError("BrokerUnreachable", f"the broker: {error}") from error
    finally:
        await producer.stop()


def _producer(settings: RedriveSettings, connection: KafkaConnection) -> AIOKafkaProducer:
    if settings.dry_run:  # it must not fence one that is at work
        return kafka.producer(connection, settings.compression)
    name = settings.job.transactional_id("redrive")
    return kafka.transactional(connection, settings.compression, name)


class Redrive:
    """One pass over the dead topic. What it calls raises ``KafkaError``."""

    def __init__(
        self,
        settings: RedriveSettings,
        producer: AIOKafkaProducer,
        letters: AIOKafkaConsumer,
        originals: Originals,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._letters = letters
        self._originals = originals
        self._put_back = self._gone = 0

    async def run(self) -> RedriveReport:
        """Go through the partitions, one after the other: memory holds the keys of one."""
        for place in sorted(self._letters.assignment()):
            await self._partition(place)
        return RedriveReport(id=self._settings.id, items=self._put_back, gone=self._gone)

    async def _partition(self, place: TopicPartition) -> None:
        standing, settings = Standing(), self._settings
        await dead_topic.read(self._letters, place, standing)
        chosen = {
            failed.offset: failed
            for failed in standing.to_put_back(settings.reasons, settings.keys)
        }
        # What this redrive had put back before it was killed counts too.
        self._put_back += standing.by_redrive[settings.id]
        if settings.dry_run:
            self._put_back += len(chosen)
            return
        async for chunk in self._chunks(place, chosen):
            await self._transaction(place, chunk)

    async def _chunks(
        self, place: TopicPartition, chosen: dict[int, Failed]
    ) -> AsyncIterator[list[Letter]]:
        if not chosen:
            return
        chunk: list[Letter] = []
        async for message in dead_topic.scan(self._letters, place, min(chosen), max(chosen) + 1):
            if (failed := chosen.get(message.offset)) is not None:
                chunk.append(Letter(failed, message))
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _transaction(self, place: TopicPartition, chunk: list[Letter]) -> None:
        """Put a chunk back, all of it or nothing."""
        found = [(letter, await self._item(letter)) for letter in chunk]
        items = [(letter, item) for letter, item in found if item is not None]
        self._gone += len(found) - len(items)
        if not items:
            return
        sent = []
        async with self._producer.transaction():
            for letter, item in items:
                sent.append(await self._send(self._settings.items.name, item))
                sent.append(await self._send(place.topic, self._mark(letter), place.partition))
            await asyncio.gather(*sent)
        self._put_back += len(items)
        _LOG.info("%d items put back", self._put_back)

    async def _send(self, topic: str, message: Message, partition: int | None = None) -> Any:
        return await self._producer.send(
            topic,
            key=message.key,
            value=message.value,
            partition=partition,
            headers=list(message.headers),
        )

    async def _item(self, letter: Letter) -> Message | None:
        """Return an item as it came, but as a new one; None when nobody has it any more."""
        dead = wire.DeadItem.model_validate_json(letter.message.value)
        source = letter.message
        key, value = source.key, dead.value.encode() if dead.value is not None else None
        if not dead.whole:
            source = await self._originals.find(letter.failed, source.partition)
            if source is None:
                _LOG.warning(
                    "the item is gone from the items topic", extra={"key": letter.failed.key}
                )
                return None
            key, value = source.key, source.value
        own = [each for each in source.headers if not each[0].startswith(wire.OURS)]
        own.append((wire.REDRIVE, self._settings.id.encode()))
        if not self._settings.external:
            own.append((wire.GENERATION, str(self._settings.items.generation).encode()))
        return Message(key, value, tuple(own))

    def _mark(self, letter: Letter) -> Message:
        headers = (
            (wire.ITEM, letter.failed.item.encode()),
            (wire.VERSION, str(letter.failed.version).encode()),
            (wire.REDRIVE, self._settings.id.encode()),
            (wire.GENERATION, str(self._settings.dead.generation).encode()),
        )
        return Message(letter.message.key, None, headers)
