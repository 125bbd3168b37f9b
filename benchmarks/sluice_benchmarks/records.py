"""What the writer's benchmark writes: narrow and wide records, as rows and as messages."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from sluice_api.sink import Buffer, PostgresSink
from sluice_api.spec import Compression
from sluice_benchmarks.job import broker
from sluice_workers import wire
from sluice_workers.producer import Message, Producer
from sluice_workers.write.row import Row

CHUNK: Final = 10_000
WIDE: Final = 10_000
"""Bytes of a wide record's text."""
AT: Final = "2026-03-01T12:00:00Z"

COLUMNS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "narrow": {
        "id": {"type": "bigint"},
        "name": {"type": "text"},
        "email": {"type": "text"},
        "active": {"type": "boolean"},
        "score": {"type": "double precision"},
        "updated_at": {"type": "timestamptz"},
    },
    "wide": {"id": {"type": "bigint"}, "body": {"type": "text"}},
}


def sink(shape: str, table: str, buffer: Buffer = Buffer.TRANSACTIONAL) -> PostgresSink:
    """Return the sink of a benchmark's table."""
    content = {"secretRef": {"name": "w"}, "table": table, "key": ["id"], "columns": COLUMNS[shape]}
    return PostgresSink.model_validate(content | {"buffer": buffer})


def record(shape: str, number: int) -> dict[str, Any]:
    """Return one record, about 195 bytes or 10 KB of JSON."""
    if shape == "wide":
        return {"id": number, "body": _text(number)}
    return {
        "id": number,
        "name": f"Person Number {number}",
        "email": f"person.{number}@mail.example.org",
        "active": number % 2 == 0,
        "score": number / 8,
        "updated_at": AT,
        "note": "what no column takes is left out",
    }


def rows(shape: str, count: int) -> list[Row]:
    """Return the rows that records become, with their version."""
    at = datetime.fromisoformat(AT).astimezone(UTC)
    names = COLUMNS[shape]
    return [
        (*[at if name == "updated_at" else found[name] for name in names], 1)
        for found in (record(shape, number) for number in range(count))
    ]


async def fill(topic: str, shape: str, count: int) -> None:
    """Write records to a topic, as fetchers do."""
    producer = Producer(broker(), Compression.ZSTD)
    chunk = CHUNK if shape == "narrow" else 500
    try:
        for start in range(0, count, chunk):
            numbers = range(start, min(start + chunk, count))
            await producer.send(topic, [message(shape, number) for number in numbers])
            await asyncio.sleep(0)
    finally:
        await producer.close()


def message(shape: str, number: int) -> Message:
    """Return the message of one record."""
    headers = (
        (wire.ITEM, b"run/%d" % number),
        (wire.ORDINAL, b"0"),
        (wire.VERSION, b"1"),
        (wire.GENERATION, b"1"),
    )
    return Message(str(number).encode(), orjson.dumps(record(shape, number)), headers)


def _text(number: int) -> str:
    """Return text that does not compress to nothing."""
    return random.Random(number).randbytes(WIDE // 2).hex()
