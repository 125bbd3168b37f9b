"""What is finished beyond the committed offsets, kept in Redis over restarts and rebalances.

Kafka holds one offset a partition: behind an item that waits for its retry, thousands that are done
would be fetched again by the next owner. One hash a job and generation of its items topic holds a
field for each partition: eight bytes with the committed offset (big-endian), then one bit for each
offset from there on, the least significant first. What it says was finished is finished, however
old it is; so it may be lost, and be written by an owner that was only slow.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.names import JobName
from sluice_workers.settings import Topic

_BASE_BYTES: Final = 8
_LOG: Final = logging.getLogger(__name__)


def encode(base: int, done: Iterable[int]) -> bytes:
    """Return the bits of offsets that are all ``base`` or greater."""
    bits = bytearray()
    for offset in sorted(done):
        place, bit = divmod(offset - base, 8)
        bits.extend(bytes(place + 1 - len(bits)))
        bits[place] |= 1 << bit
    return base.to_bytes(_BASE_BYTES) + bytes(bits)


def decode(content: bytes, committed: int) -> frozenset[int]:
    """Return the offsets that are done.

    Nothing when the group was moved back behind what they were noted for: somebody wants them done
    again.
    """
    base, bits = int.from_bytes(content[:_BASE_BYTES]), content[_BASE_BYTES:]
    if base > committed:
        return frozenset()
    return frozenset(
        base + place * 8 + bit
        for place, byte in enumerate(bits)
        if byte
        for bit in range(8)
        if byte >> bit & 1
    )


class DoneSets:
    """The hash of one job. Without Redis it holds nothing, which only makes items run again."""

    def __init__(self, redis: Redis, job: JobName, items: Topic) -> None:
        self._redis = redis
        self._key = job.redis_key(f"done:{items.generation}")

    async def load(self, partition: int, committed: int) -> frozenset[int]:
        """Return the offsets of a partition that are done beyond the committed one."""
        try:
            content: Any = await self._redis.hget(self._key, str(partition))
        except (RedisError, OSError) as error:
            _LOG.warning("what was done ahead of the offsets may be done again: %s", error)
            return frozenset()
        return decode(content, committed) if content else frozenset()

    async def save(self, ahead: Mapping[int, tuple[int, list[int]]]) -> bool:
        """Note, for each partition, its committed offset and what is done beyond it.

        Return whether Redis has it.
        """
        content: dict[Any, Any] = {
            str(partition): encode(*found) for partition, found in ahead.items()
        }
        if not content:
            return True
        try:
            await self._redis.hset(self._key, mapping=content)
        except (RedisError, OSError) as error:
            _LOG.warning("what is done ahead of the offsets is not kept: %s", error)
            return False
        return True
