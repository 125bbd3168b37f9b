"""Items and records that are given up: the dead topic is the truth, the failed set its index."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_workers import kafka, wire
from sluice_workers.producer import Message, Producer
from sluice_workers.settings import Topic

CHUNK: Final = 1000
"""Keys that one command to Redis carries."""


class Failures:
    """Keeps what was given up. Every method raises ``DependencyError`` and may be called again."""

    def __init__(self, redis: Redis, producer: Producer, topic: Topic, job: JobName) -> None:
        self._redis = redis
        self._producer = producer
        self._topic = topic
        self._key = job.redis_key("failed")

    async def give_up(self, dead: Sequence[wire.DeadItem]) -> None:
        """Return when the broker and then Redis have acknowledged: now the offsets may pass."""
        if dead:
            await self._producer.send(self._topic.name, [self._message(each) for each in dead])
            await self._in_chunks(self._redis.sadd, {each.key for each in dead})

    async def take_out(self, keys: Iterable[str]) -> None:
        """Take keys that have succeeded by now out of the failed set."""
        await self._in_chunks(self._redis.srem, set(keys))

    async def _in_chunks(self, command: Any, keys: set[str]) -> None:
        ordered = sorted(keys)
        try:
            for start in range(0, len(ordered), CHUNK):
                chunk = ordered[start : start + CHUNK]
                await command(self._key, *chunk)
        except (RedisError, OSError) as error:
            raise DependencyError("RedisUnreachable", f"the failed set: {error}") from error

    def _message(self, dead: wire.DeadItem) -> Message:
        value = _encoded(dead)
        if len(value) > kafka.MAX_VALUE_BYTES:
            value = _encoded(dead.model_copy(update={"value": None}))
        headers = (
            (wire.ITEM, dead.item.encode()),
            (wire.GENERATION, str(self._topic.generation).encode()),
        )
        return Message(dead.key.encode(), value, headers)


def _encoded(dead: wire.DeadItem) -> bytes:
    return dead.model_dump_json(by_alias=True).encode()


def connect(url: str) -> Redis:
    """Return a client of Redis that gives up on an answer after some seconds."""
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
