"""Writes a job's items to its items topic: at least once, and never not at all."""

import asyncio
import logging
import time
from collections import deque
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from sluice_api.errors import DependencyError
from sluice_workers import kafka, wire
from sluice_workers.seed import items
from sluice_workers.settings import KafkaConnection, SeedSettings

UNACKNOWLEDGED: Final = 5000
"""Messages that wait for the broker's answer at the most."""
PROGRESS: Final = 5.0
"""Seconds between two lines that tell how far the seed is."""
_LOG: Final = logging.getLogger(__name__)


async def seed(folder: Path) -> int:
    """Write every item and return their number.

    What is written is only counted when the broker has acknowledged it; a seed that is run again
    writes all items again, with the same ids. Raises ``ConfigurationError`` or ``DependencyError``.
    """
    settings = SeedSettings.read(folder, "seed")
    producer = kafka.producer(KafkaConnection.read(folder), settings.compression)
    try:
        await producer.start()
        return await _write(producer, settings, folder)
    except KafkaError as error:
        raise DependencyError("BrokerUnreachable", f"the broker: {error}") from error
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, settings: SeedSettings, folder: Path) -> int:
    headers = [
        (wire.RUN, settings.run.encode()),
        (wire.GENERATION, str(settings.topic.generation).encode()),
    ]
    waiting: deque[asyncio.Future[object]] = deque()
    acknowledged, told = 0, time.monotonic()
    async for key, value in items.read(settings.items, folder):
        sent = await producer.send(
            settings.topic.name, key=key.encode(), value=value, headers=headers
        )
        waiting.append(sent)
        while len(waiting) >= UNACKNOWLEDGED:
            await waiting.popleft()
            acknowledged += 1
        if time.monotonic() - told > PROGRESS:
            told = time.monotonic()
            _LOG.info("%d items written", acknowledged)
    for last in waiting:
        await last
    total = acknowledged + len(waiting)
    _LOG.info("all %d items written to %s", total, settings.topic.name)
    return total
