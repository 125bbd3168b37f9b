"""One item, as a message of the items topic becomes it; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sluice_workers import wire
from sluice_workers.settings import Topic

MAX_KEY_BYTES: Final = 4096
"""A key stands in URLs, headers, Redis and the dead topic: longer ones are refused, and cut."""
OVERHEAD: Final = 576
"""Bytes that an item holds besides key and value until it is done (measured: 542, CPython 3.11)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of work and of retry."""

    partition: int
    offset: int
    key: bytes
    """The message key as it came; records carry it on, so they land in the same partition."""
    value: bytes
    """The attributes as a JSON object, or empty."""
    id: str
    version: int
    """What its records carry as their version."""
    flaw: str | None = None
    """Why it cannot be requested, if so."""
    headers: wire.Headers = ()
    """The message's own headers, without those of Sluice."""

    @property
    def text_key(self) -> str:
        """The key as text, for URLs, the dead topic and the failed set."""
        return _text(self.key)

    @property
    def size(self) -> int:
        """Bytes that it holds in memory until it is done."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return OVERHEAD + len(self.key) + len(self.value) + headers


def read_item(
    topic: Topic,
    *,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
) -> Item:
    """Turn a message into an item. A header may have no value; it is taken for an empty one.

    Raises ``DependencyError`` (``TopicRecreated``) when the message belongs to another generation
    of the topic: its offsets then mean something else than those that were committed.
    """
    given = tuple((name, value or b"") for name, value in headers)
    wire.refuse_other_generation(topic.name, given, topic.generation)
    return Item(
        partition=partition,
        offset=offset,
        key=key or b"",
        value=value or b"",
        id=wire.item_id(
            run=wire.header(given, wire.RUN),
            key=_text(key or b""),
            generation=topic.generation,
            partition=partition,
            offset=offset,
        ),
        version=wire.record_version(topic.generation, offset),
        flaw=_flaw(key),
        headers=tuple(each for each in given if not each[0].startswith(wire.OURS)),
    )


def _text(key: bytes) -> str:
    return key[:MAX_KEY_BYTES].decode(errors="backslashreplace")


def _flaw(key: bytes | None) -> str | None:
    if not key:
        return "the message has no key; its key must be the item key"
    if len(key) > MAX_KEY_BYTES:
        return f"the item key must have at most {MAX_KEY_BYTES} bytes, found {len(key)}"
    try:
        key.decode()
    except UnicodeDecodeError as error:
        return f"the item key must be UTF-8, found {key[:40]!r} ({error.reason})"
    return None
