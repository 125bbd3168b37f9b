"""The records of an item, as messages of the records topic."""

from sluice_workers import wire
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Fetched
from sluice_workers.producer import Message
from sluice_workers.settings import Topic


def record_messages(item: Item, fetched: Fetched, records: Topic) -> list[Message]:
    """Return an item's records with their identity, in their order."""
    timestamp = int(fetched.at.timestamp() * 1000)
    common = (
        (wire.ITEM, item.id.encode()),
        (wire.VERSION, str(item.version).encode()),
        (wire.GENERATION, str(records.generation).encode()),
    )
    return [
        Message(item.key, record, (*common, (wire.ORDINAL, str(ordinal).encode())), timestamp)
        for ordinal, record in enumerate(fetched.records)
    ]
