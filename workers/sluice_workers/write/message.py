"""What the headers of messages say of their records: one by one, and of many messages at once."""

from collections.abc import Sequence
from typing import Protocol

from sluice_workers import wire


class Message(Protocol):
    """A message as the broker's client gives it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: wire.Headers
    timestamp: int
    """When it was fetched, epoch milliseconds."""


Messages = Sequence[Message]
"""Some messages, at least one."""


def item(message: Message) -> str:
    """Return the id of a record's item. Raises ``KeyError`` and ``ValueError``, as all here."""
    return _header(message, wire.ITEM).decode()


def record_id(message: Message) -> str:
    """Return a record's id."""
    return wire.record_id(item(message), _number(message, wire.ORDINAL))


def record_ids(messages: Messages) -> list[str]:
    """Return the records' ids."""
    items, ordinals = _headers(messages, wire.ITEM), _headers(messages, wire.ORDINAL)
    return [
        wire.record_id(found.decode(), int(ordinal))
        for found, ordinal in zip(items, ordinals, strict=True)
    ]


def version(message: Message) -> int:
    """Return a record's version."""
    return _number(message, wire.VERSION)


def versions(messages: Messages) -> list[int]:
    """Return the records' versions."""
    return list(map(int, _headers(messages, wire.VERSION)))


def _number(message: Message, name: str) -> int:
    found = _header(message, name)
    try:
        return int(found)
    except ValueError:
        raise ValueError(f"the header {name} must be a whole number, found {found!r}") from None


def _header(message: Message, name: str) -> bytes:
    """Return the first header of a name."""
    for found, value in message.headers:
        if found == name and value is not None:
            return value
    raise KeyError(name)


def _headers(messages: Messages, name: str) -> Sequence[bytes]:
    """Return a header of each message; they must have it all at one place, as fetchers put it."""
    place = [found for found, _ in messages[0].headers].index(name)
    pairs = [message.headers[place] for message in messages]
    values = [value for found, value in pairs if found == name and value is not None]
    before = ({message.headers[earlier][0] for message in messages} for earlier in range(place))
    if len(values) < len(pairs) or any(name in names for names in before):
        raise KeyError(name)
    return values
