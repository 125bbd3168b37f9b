"""Messages that others put into the records topic: what is no record is dead, others are rows."""

from typing import Any

import pytest

from integration.processes import write_folder
from integration.write.test_writer import (
    GENERATION,
    SINK,
    World,
    dead_items,
    headers,
    world,
    writer,
)
from sluice_api.sink import PostgresSink
from sluice_api.spec import Compression
from sluice_migrations import target
from sluice_migrations.database import within
from sluice_workers import kafka as clients
from sluice_workers import wire

__all__ = ["world"]

GOOD = b'{"id": 1, "name": "good"}'
ITEM, ORDINAL = (wire.ITEM, b"r/1"), (wire.ORDINAL, b"0")
VERSION, OURS = (wire.VERSION, b"1"), (wire.GENERATION, str(GENERATION).encode())
OTHERS: list[tuple[bytes | None, bytes | None, list[tuple[str, Any]]]] = [
    (b"tombstone", None, headers("tombstone", 1)),
    (b"empty", b"", headers("empty", 1)),
    (b"nothing", b"{}", headers("nothing", 1)),
    (b"list", b"[1]", headers("list", 1)),
    (b"deep", b'{"id": ' + b"[" * 1000 + b"]" * 1000 + b"}", headers("deep", 1)),
    (b"\xff\x00", GOOD, [OURS]),
    (None, GOOD, []),
    (b"null header", GOOD, [(wire.ITEM, None), ORDINAL, (wire.VERSION, None), OURS]),
    (b"large", GOOD, [ITEM, (wire.ORDINAL, b"9" * 30), (wire.VERSION, b"9" * 30), OURS]),
    (b"words", GOOD, [ITEM, (wire.ORDINAL, b"x"), (wire.VERSION, b"x"), OURS]),
    (b"bytes", GOOD, [(wire.ITEM, b"\xff"), ORDINAL, (wire.VERSION, b"\xff"), OURS]),
    (b"NUL", GOOD, [(wire.ITEM, b"a\x00b"), ORDINAL, (wire.VERSION, b"1\x00"), OURS]),
]


@pytest.mark.parametrize("mode", ["Upsert", "Append"])
async def test_what_is_no_record_is_dead_and_stops_nobody(world: World, mode: str) -> None:
    own: dict[str, Any] = {}
    if mode != "Upsert":
        own = {"mode": "Append", "key": [], "table": "public.others"}
        own["columns"] = SINK["columns"] | {"id": {"type": "bigint", "nullable": False}}
    sink = PostgresSink.model_validate(SINK | own)
    await within(world.uri, lambda connection: target.prepare(connection, sink))
    settings = world.settings.model_copy(update={"sink": sink})
    write_folder(world.folder, {"settings/writer.json": settings.model_dump_json(by_alias=True)})
    producer = clients.producer(world.kafka, Compression.NONE)
    await producer.start()
    for key, value, given in OTHERS:
        await producer.send_and_wait(settings.records.name, key=key, value=value, headers=given)
    await producer.stop()
    await world.produce(range(50), lambda _: 1)
    async with writer(world):
        await world.wait_for_offsets(50 + len(OTHERS))
    found = await world.fetch(f"SELECT count(*) FROM {sink.table} WHERE name <> 'good'")
    assert found == [(50,)]
    dead = await dead_items(world)
    told = {each.key: each.message for each in dead}
    large = mode == "Append"  # an ordinal may be of any size
    assert len(told) == len(OTHERS) - large, told
    assert "must be a whole number, found b'x'" in told["words"]
