"""Chunks: records of one partition as the durable buffer holds them. Pure.

A chunk holds messages as they were read, one after the other, so whatever the job's columns are by
then, it is parsed as if it came from the topic; key, headers and value are there for the dead
topic. One row of the buffer for many records costs Postgres a fraction of a row for each.

The body, compressed with zstd: how many messages and how many fields there are; a timestamp and
the number of headers for each message; each field's length, -1 for null; the fields themselves.
The fields of a message are its key, its value, and name and value of each header.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cramjam

from sluice_workers import wire
from sluice_workers.write.message import Message

MAX_BYTES: Final = 16 << 20
"""Bytes of values after which a chunk is closed: no field of Postgres takes a gibibyte."""
LEVEL: Final = 1
"""Of compression: the level that costs the least, for what is read again within seconds."""
_COUNTS: Final = struct.Struct("<II")


@dataclass(slots=True)
class Buffered:
    """A message from the buffer, as a :class:`Message`."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: wire.Headers
    timestamp: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition without a hole between them."""

    partition: int
    first_offset: int
    next_offset: int
    records: int
    size: int
    """Bytes of the messages' values."""
    body: bytes


def chunks(messages: Sequence[Message]) -> list[Chunk]:
    """Pack messages, those of a partition in their order, into chunks."""
    places: dict[int, list[Message]] = {}
    for message in messages:
        places.setdefault(message.partition, []).append(message)
    return [_packed(part) for _, found in sorted(places.items()) for part in _parts(found)]


def _parts(messages: Iterable[Message]) -> Iterator[list[Message]]:
    part: list[Message] = []
    size = 0
    for message in messages:
        length = len(message.value or b"")
        if part and size + length > MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(message)
        size += length
    yield part


def _packed(messages: Sequence[Message]) -> Chunk:
    fields: list[bytes | None] = []
    for message in messages:
        fields += (message.key, message.value)
        for name, value in message.headers:
            fields += (name.encode(), value)
    count = len(messages)
    body = b"".join(
        (
            _COUNTS.pack(count, len(fields)),
            struct.pack(f"<{count}q", *[message.timestamp for message in messages]),
            struct.pack(f"<{count}I", *[len(message.headers) for message in messages]),
            struct.pack(f"<{len(fields)}i", *[-1 if f is None else len(f) for f in fields]),
            *[field for field in fields if field],
        )
    )
    first = messages[0]
    return Chunk(
        partition=first.partition,
        first_offset=first.offset,
        next_offset=messages[-1].offset + 1,
        records=count,
        size=sum(len(message.value or b"") for message in messages),
        body=bytes(cramjam.zstd.compress(body, level=LEVEL)),
    )


def unpacked(partition: int, first_offset: int, body: bytes) -> list[Buffered]:
    """Return the messages of a chunk."""
    raw = bytes(cramjam.zstd.decompress(body))
    count, total = _COUNTS.unpack_from(raw)
    at = _COUNTS.size
    timestamps = struct.unpack_from(f"<{count}q", raw, at)
    headers = struct.unpack_from(f"<{count}I", raw, at + 8 * count)
    lengths = struct.unpack_from(f"<{total}i", raw, at + 12 * count)
    fields = _fields(raw, at + 12 * count + 4 * total, lengths)
    return [
        Buffered(
            partition,
            first_offset + place,
            next(fields),
            next(fields),
            tuple([((next(fields) or b"").decode(), next(fields)) for _ in range(headers[place])]),  # type: ignore[misc]  # a header's value may be null, as the broker's client has it
            timestamps[place],
        )
        for place in range(count)
    ]


def _fields(raw: bytes, at: int, lengths: Iterable[int]) -> Iterator[bytes | None]:
    for length in lengths:
        if length < 0:
            yield None
        else:
            yield raw[at : at + length]
            at += length
