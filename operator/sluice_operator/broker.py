"""The broker, as the operator needs it: topics, offsets, groups."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.structs import OffsetAndMetadata

from sluice_api.errors import DependencyError
from sluice_operator.observed import TopicOffsets
from sluice_workers.kafka import client_options
from sluice_workers.settings import KafkaConnection

TIMEOUT: Final = 10.0
"""Seconds that the broker has for one answer."""
COORDINATOR_TRIES: Final = 20
COORDINATOR_POLL: Final = 0.25
"""How often, and after how many seconds, a coordinator that was not there is asked for again."""
_NOT_THERE: Final = {3, 69}
"""Kafka's codes for a topic and for a group that does not exist."""


class Broker:
    """One broker's clients, opened at first use and kept; every call raises ``DependencyError``."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Close the clients."""
        admin, consumer = self._admin, self._consumer
        self._admin = self._consumer = None
        if admin is not None:
            await admin.close()
        if consumer is not None:
            await consumer.stop()

    async def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the number of partitions of each of the topics that exists."""
        found = await self._ask(lambda: self._describe(list(topics)))
        return {
            topic["topic"]: len(topic["partitions"]) for topic in found if not topic["error_code"]
        }

    async def _describe(self, topics: list[str]) -> list[dict[str, Any]]:
        admin = await self._opened()
        # Naming a topic in a metadata request may create it: only those that are listed are named.
        listed = set(await admin.list_topics())
        names = [topic for topic in topics if topic in listed]
        return list(await admin.describe_topics(names)) if names else []

    async def create(self, topic: str, partitions: int, replication: int | None) -> None:
        """Create a topic without a limit of time; one that is there is left as it is."""
        config = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
        new = NewTopic(topic, partitions, replication or 1, topic_configs=config)
        # The client refuses -1, by which the protocol asks for the broker's default.
        new.replication_factor = replication or -1

        async def ask() -> None:
            answer = await (await self._opened()).create_topics([new])
            for error in answer.topic_errors:
                if error[1] not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(error[1])(f"{topic}: {error[-1]}")

        await self._ask(ask)

    async def delete_topics(self, topics: list[str]) -> None:
        """Delete topics; those that are not there are passed over."""

        async def ask() -> None:
            answer = await (await self._opened()).delete_topics(topics)
            for name, code in answer.topic_error_codes:
                if code and code not in _NOT_THERE:
                    raise for_code(code)(name)

        if topics:
            self._forget(topics)
            await self._ask(ask)

    async def delete_groups(self, groups: list[str]) -> None:
        """Delete consumer groups; those that are not there are passed over."""

        async def ask() -> None:
            admin = await self._opened()
            for group in groups:
                node = await admin.find_coordinator(group)
                # The public client cannot delete groups; the protocol's request is public.
                answer = await admin._send_request(DeleteGroupsRequest([group]), node)  # noqa: SLF001
                for name, code in answer.results:
                    if code and code not in _NOT_THERE:
                        raise for_code(code)(name)

        await self._ask(ask)

    async def offsets(self, topic: str, partitions: int, group: str) -> TopicOffsets:
        """Read a topic's ends, and how far a group has come.

        The committed offsets are read first: what is reached then is below what the ends say.
        """
        places = [TopicPartition(topic, number) for number in range(partitions)]

        async def ask() -> TopicOffsets:
            admin = await self._opened()
            committed = await admin.list_consumer_group_offsets(group, partitions=places)
            consumer = await self._reader(places)
            starts = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            return TopicOffsets(
                starts=tuple(starts[place] for place in places),
                ends=tuple(ends[place] for place in places),
                committed=tuple(_known(committed.get(place)) for place in places),
            )

        async with self._lock:
            found: TopicOffsets = await self._ask(ask)
            return found

    async def offsets_at(self, topic: str, partitions: int, time: datetime) -> list[int | None]:
        """Return each partition's first offset of a message as young as ``time``, or None."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        asked = dict.fromkeys(places, max(0, int(time.timestamp() * 1000)))

        async def ask() -> list[int | None]:
            found = await (await self._reader(places)).offsets_for_times(asked)
            return [found[place].offset if found[place] else None for place in places]

        async with self._lock:
            offsets: list[int | None] = await self._ask(ask)
            return offsets

    async def delete_records(self, topic: str, starts: Mapping[int, int]) -> None:
        """Delete what is before the new start of each of these partitions."""
        asked = {
            TopicPartition(topic, number): RecordsToDelete(start)
            for number, start in starts.items()
        }

        async def ask() -> None:
            await (await self._opened()).delete_records(asked)

        await self._ask(ask)

    async def _opened(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            admin = AIOKafkaAdminClient(**client_options(self._connection))
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        return self._admin

    async def _reader(self, places: list[TopicPartition]) -> AIOKafkaConsumer:
        """A consumer without a group that knows the topic's metadata and fetches nothing."""
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._connection), enable_auto_commit=False
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        known = self._consumer.assignment()
        if not known.issuperset(places):
            self._consumer.assign([*known, *(place for place in places if place not in known)])
            self._consumer.pause(*self._consumer.assignment())
        return self._consumer

    def _forget(self, topics: list[str]) -> None:
        """Read topics no more: asking for its metadata may bring a deleted one back."""
        if self._consumer is None:
            return
        known = self._consumer.assignment()
        left = [place for place in known if place.topic not in topics]
        if len(left) < len(known):
            self._consumer.assign(left)
            self._consumer.pause(*left)

    async def _ask(self, call: Any) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await _coordinated(call)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            servers = self._connection.bootstrap_servers
            raise DependencyError(
                "BrokerUnreachable", f"the broker {servers} does not answer: {_shown(error)}"
            ) from error


async def _coordinated(call: Any) -> Any:
    """Call until there is a group coordinator: a broker elects one when first asked for it."""
    for _ in range(COORDINATOR_TRIES):
        with suppress(GroupCoordinatorNotAvailableError):
            return await call()
        await asyncio.sleep(COORDINATOR_POLL)
    return await call()


def _known(committed: OffsetAndMetadata | None) -> int | None:
    return None if committed is None or committed.offset < 0 else committed.offset


def _shown(error: BaseException) -> str:
    return str(error) or type(error).__name__
