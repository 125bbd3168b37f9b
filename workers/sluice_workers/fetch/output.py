"""What becomes of an item: messages of the records topic, or a dead item."""

from datetime import datetime

from sluice_workers import wire
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Fetched, GivenUp
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


def dead_item(item: Item, given_up: GivenUp, now: datetime) -> wire.DeadItem:
    """Return what is kept of an item that is given up."""
    failure = given_up.failure
    value = item.value.decode(errors="backslashreplace")
    return wire.DeadItem(
        key=item.text_key,
        item=item.id,
        version=item.version,
        reason=failure.reason,
        message=failure.message,
        status=failure.status,
        headers=dict(failure.headers),
        attempts=given_up.attempts,
        failed_at=now,
        value=value or None,
        whole=item.text_key.encode() == item.key and value.encode() == item.value,
    )
