"""The failed set in Redis: the keys that the dead topic says have failed, for quick answers.

A hash of each key's rank. It is an index: lost, it is built again from the topic. A field without a
name tells that it is complete, or names the building that is under way; it goes with the hash, so a
loss is always noticed, also by who builds from what it read before.
"""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_api.names import JobName

CHUNK: Final = 1000
"""Keys that one command to Redis carries."""
STATE: Final = ""
"""The field that is no key."""
COMPLETE: Final = b"1"
"""What it holds when every failed key is there."""
LOST: Final = "Redis lost the failed set: it is built again from the dead topic"
_SCRIPTS: Final = files("sluice_workers")


def redis_key(job: JobName, generation: int) -> str:
    """Return the name of a job's failed set; ``generation`` is the dead topic's."""
    return job.redis_key(f"failed:{generation}")


class FailedSet:
    """The failed set of one job. Every method raises ``DependencyError``."""

    def __init__(self, redis: Redis, job: JobName, generation: int) -> None:
        self._redis = redis
        self._key = redis_key(job, generation)
        self._put = redis.register_script(_SCRIPTS.joinpath("failed_set_put.lua").read_text())
        self._remove = redis.register_script(_SCRIPTS.joinpath("failed_set_remove.lua").read_text())

    async def complete(self) -> bool:
        """Tell whether every failed key is in it."""
        with _explained():
            return bool(await self._ask("hget", STATE) == COMPLETE)

    async def add(self, ranks: Mapping[str, int]) -> None:
        """Add keys with the ranks of their failures."""
        for chunk in _chunks(ranks):
            with _explained():
                await self._put(keys=[self._key], args=["", "", *_encoded(chunk)])

    async def among(self, keys: Sequence[str]) -> set[str] | None:
        """Return those of the keys that are in it; None when it is not complete."""
        found: set[str] = set()
        for start in range(0, len(keys) or 1, CHUNK):
            chunk = keys[start : start + CHUNK]
            with _explained():
                state, *ranks = await self._ask("hmget", [STATE, *chunk])
            if state != COMPLETE:
                return None
            found.update(key for key, rank in zip(chunk, ranks, strict=True) if rank is not None)
        return found

    async def pages(self) -> AsyncIterator[dict[str, int]]:
        """Yield the failed keys with their ranks, some at a time: there may be millions."""
        cursor = 0
        while True:
            with _explained():
                cursor, found = await self._ask("hscan", cursor, None, CHUNK)
            yield {key.decode(): int(rank) for key, rank in found.items() if key}
            if not cursor:
                return

    async def take_out(self, ranks: Mapping[str, int]) -> bool:
        """Take keys out whose failures rank no higher than these successes.

        Return whether the set was complete all the while: else it is to be done again.
        """
        for chunk in _chunks(ranks):
            with _explained():
                arguments: list[bytes | str] = [COMPLETE, *_encoded(chunk)]
                if not await self._remove(keys=[self._key], args=arguments):
                    return False
        return True

    async def begin(self) -> bytes | None:
        """Return what names the building that is under way now; None when it is complete.

        To be asked before the dead topic is read: who builds at the same time shares the name.
        """
        with _explained():
            # Never the one that was under way before the set was lost.
            await self._ask("hsetnx", STATE, 2 + secrets.randbits(62))
            state: bytes | None = await self._ask("hget", STATE)
        if state is None:
            raise DependencyError("FailedSetLost", LOST)
        return None if state == COMPLETE else state

    async def rebuild(self, building: bytes, ranks: Mapping[str, int]) -> bool:
        """Add what the dead topic holds, and say that it is complete.

        Return False when somebody else has, or it was lost since :meth:`begin`.
        """
        for chunk in _chunks(ranks):
            with _explained():
                if not await self._put(keys=[self._key], args=[building, "", *_encoded(chunk)]):
                    return False
        with _explained():
            return bool(await self._put(keys=[self._key], args=[building, COMPLETE]))

    async def _ask(self, command: str, *arguments: Any) -> Any:
        return await getattr(self._redis, command)(self._key, *arguments)


def _chunks(ranks: Mapping[str, int]) -> Iterator[list[tuple[str, int]]]:
    ordered = sorted(ranks.items())
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _encoded(chunk: list[tuple[str, int]]) -> list[str]:
    """Ranks as texts of one length, which compare as the numbers do: Lua's have 53 bits."""
    return [text for key, rank in chunk for text in (key, f"{rank:020d}")]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise DependencyError("RedisUnreachable", f"the failed set: {error}") from error
