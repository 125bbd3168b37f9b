"""An item as it came: what the dead topic does not hold of it, the items topic may still have."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from sluice_api.errors import DependencyError
from sluice_workers import dead_topic, wire
from sluice_workers.dead_topic import Failed
from sluice_workers.fetch.item import read_item
from sluice_workers.settings import Topic


class Originals:
    """Looks items up, one by one."""

    def __init__(self, consumer: AIOKafkaConsumer, items: Topic) -> None:
        self._consumer = consumer
        self._items = items

    async def find(self, failed: Failed, partition: int) -> Any | None:
        """Return the message that an item was; None when it is gone. Raises ``KafkaError``.

        ``partition`` is the dead message's: a seeded item was in the one of the same number.
        """
        generation, offset = wire.item_place(failed.version)
        if generation != self._items.generation:
            return None
        named = wire.item_partition(failed.item)
        place = TopicPartition(self._items.name, partition if named is None else named)
        start, end = await dead_topic.bounds(self._consumer, place)
        if not start <= offset < end:
            return None
        async for message in dead_topic.scan(self._consumer, place, offset, offset + 1):
            if message.offset == offset and self._id(message) == failed.item:
                return message
        return None

    def _id(self, message: Any) -> str | None:
        try:
            return read_item(
                self._items,
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                headers=message.headers,
            ).id
        except DependencyError:
            return None
