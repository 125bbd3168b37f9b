"""Items and records that are given up: the dead topic is the truth, the failed set its index."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from sluice_api.errors import DependencyError, RecordTooLargeError
from sluice_api.names import JobName
from sluice_workers import dead_topic, kafka, wire
from sluice_workers.failed_set import LOST, FailedSet
from sluice_workers.producer import Message, Producer
from sluice_workers.settings import KafkaConnection, Topic

MAX_HEADER_BYTES: Final = 8 << 10
"""What a message's own headers may come to, to be kept: brokers bound the message as a whole."""
MIN_MESSAGE: Final = 256
"""Characters of a message that are kept of it, where the dead topic takes little."""
_LOG: Final = logging.getLogger(__name__)
_Identity = tuple[str, str, int, int | None]


class Failures:
    """Keeps what was given up. Every method raises ``DependencyError`` and may be called again."""

    def __init__(self, redis: Redis, producer: Producer, topic: Topic, job: JobName) -> None:
        self._set = FailedSet(redis, job, topic.generation)
        self._producer = producer
        self._topic = topic
        self._kept: set[_Identity] = set()
        """What the dead topic has, and Redis not yet."""

    async def give_up(self, dead: Sequence[wire.DeadItem], headers: wire.Headers = ()) -> None:
        """Return when the broker and then Redis have acknowledged: now the offsets may pass.

        ``headers`` are those that the items came with. What is tried again because Redis did not
        answer is in the dead topic once.
        """
        new = [each for each in dead if _identity(each) not in self._kept]
        if new:
            await self._keep(new, headers)
            self._kept.update(map(_identity, new))
        if dead:
            await self._set.add(_ranks(dead))
            self._kept.difference_update(map(_identity, dead))
        for each in dead:
            # What went wrong may quote the item: that is for the dead topic, not for logs.
            _LOG.info("given up: %s", each.reason, extra={"key": each.key, "item": each.item})

    async def take_out(self, succeeded: Mapping[str, int]) -> None:
        """Take keys that have succeeded out of the failed set; given is each item's version.

        The dead topic learns it first: what it says later must not bring them back. Raises
        ``DependencyError`` (``FailedSetLost``) while the set is not complete: what is not known
        to have failed cannot be known to have recovered.
        """
        found = await self._set.among(list(succeeded))
        if found is None:
            raise DependencyError("FailedSetLost", LOST)
        if found:
            recovered = {key: succeeded[key] for key in sorted(found)}
            marks = [self._recovered(key, version) for key, version in recovered.items()]
            await self._producer.send(self._topic.name, marks)
            ranks = {key: dead_topic.success_rank(each) for key, each in recovered.items()}
            if not await self._set.take_out(ranks):
                raise DependencyError("FailedSetLost", LOST)

    async def ensure(self, connection: KafkaConnection) -> None:
        """Build the failed set again from the dead topic if Redis has lost it.

        May be done by several processes at once, and while others add to it.
        """
        if await self._set.complete():
            return
        if (building := await self._set.begin()) is None:
            return
        partitions = await self._producer.partitions(self._topic.name)
        standing = dead_topic.Standing()
        try:
            # Also what a redrive is about to put back has failed: its marks do not matter here.
            async with kafka.reader(
                connection, self._topic.name, partitions, isolation="read_uncommitted"
            ) as consumer:
                for place in sorted(consumer.assignment()):
                    await dead_topic.read(consumer, place, standing)
        except KafkaError as error:
            raise DependencyError("BrokerUnreachable", f"the dead topic: {error}") from error
        ranks = standing.ranks()
        if await self._set.rebuild(building, ranks):
            _LOG.info("the failed set was built from the dead topic: %d keys", len(ranks))

    async def _keep(self, dead: Sequence[wire.DeadItem], headers: wire.Headers) -> None:
        """Send what is kept of them; of what the topic does not take whole, what it takes."""
        try:
            messages = [self._message(each, headers) for each in dead]
            await self._producer.send(self._topic.name, messages)
        except RecordTooLargeError:
            for each in dead:
                await self._keep_some(each, headers)

    async def _keep_some(self, dead: wire.DeadItem, headers: wire.Headers) -> None:
        without = dead.model_copy(update={"value": None, "whole": dead.value is None})
        least = {"message": dead.message[:MIN_MESSAGE], "headers": {}, "whole": False}
        kept = [(dead, headers), (without, headers), (without.model_copy(update=least), ())]
        for shorter, own in kept:
            try:
                await self._producer.send(self._topic.name, [self._message(shorter, own)])
            except RecordTooLargeError as error:
                refused = error
            else:
                return
        raise DependencyError("DeadTopicRefuses", str(refused))

    def _message(self, dead: wire.DeadItem, own: wire.Headers) -> Message:
        value = _encoded(dead)
        if len(value) > kafka.MAX_VALUE_BYTES:
            value = _encoded(dead.model_copy(update={"value": None, "whole": False}))
        headers = [
            *(own if sum(len(name) + len(text) for name, text in own) <= MAX_HEADER_BYTES else ()),
            (wire.ITEM, dead.item.encode()),
            (wire.VERSION, str(dead.version).encode()),
            (wire.REASON, dead.reason.encode()),
            (wire.GENERATION, str(self._topic.generation).encode()),
        ]
        if dead.ordinal is not None:
            headers.append((wire.ORDINAL, str(dead.ordinal).encode()))
        return Message(dead.key.encode(), value, tuple(headers))

    def _recovered(self, key: str, version: int) -> Message:
        headers = (
            (wire.RECOVERED, str(version).encode()),
            (wire.GENERATION, str(self._topic.generation).encode()),
        )
        return Message(key.encode(), None, headers)


def _identity(dead: wire.DeadItem) -> _Identity:
    return dead.key, dead.item, dead.version, dead.ordinal


def _ranks(dead: Sequence[wire.DeadItem]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in dead:
        name = dead_topic.name(each.key, each.item)
        rank = dead_topic.failure_rank(each.version, record=each.ordinal is not None)
        found[name] = max(rank, found.get(name, -1))
    return found


def _encoded(dead: wire.DeadItem) -> bytes:
    return dead.model_dump_json(by_alias=True).encode()
