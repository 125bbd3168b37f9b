"""Append with the record ids apart: each record once, also into a partitioned table."""

import json
from typing import Any

import asyncpg
import pytest

from integration.write import sessions
from sluice_api.sink import PostgresSink
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_operator import sink as operator
from sluice_workers.write.offsets import FencedError, Owner
from sluice_workers.write.row import RowParser

OWNER = Owner("uid-1", "ns/j", 7)
TABLE = """
    CREATE TABLE events (at date, v integer CHECK (v < 1000)) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
"""
SINK = PostgresSink.model_validate(
    {
        "secretRef": {"name": "w"},
        "table": "public.events",
        "mode": "Append",
        "recordIds": "Apart",
        "manage": False,
        "columns": {"at": {"type": "date"}, "v": {"type": "integer"}},
    }
)


@pytest.fixture
async def uri(postgres_uri: str) -> str:
    await execute(postgres_uri, TABLE)

    def prepare(connection: Any) -> None:
        environment.upgrade(connection)
        target.prepare(connection, SINK)

    await within(postgres_uri, prepare)
    return postgres_uri


async def execute(uri: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(uri)
    try:
        if "SELECT" not in statement:
            await connection.execute(statement)
            return []
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def rows(numbers: range, *, partition: int = 0, first: int = 0) -> list[tuple[Any, ...]]:
    """The records of items whose number is v, read from an offset on."""
    parser = RowParser(SINK)
    found = []
    for offset, number in enumerate(numbers, first):
        record = json.dumps({"at": f"2026-0{1 + number % 2}-05", "v": number})
        item = f"run/{number}"
        found.append(sessions.row(parser, record, item, partition=partition, offset=offset))
    return found


async def write(uri: str, given: list[tuple[Any, ...]], owner: Owner = OWNER) -> None:
    await sessions.write(uri, SINK, owner, given)


async def stored(uri: str) -> tuple[int, int, int]:
    query = (
        "SELECT count(*)::int, count(DISTINCT v)::int, count(DISTINCT tableoid)::int FROM events"
    )
    ((total, distinct, parts),) = await execute(uri, query)
    return total, distinct, parts


async def ids(uri: str) -> list[Any]:
    query = (
        "SELECT record_id, generation, partition, record_offset FROM sluice.record_ids ORDER BY 4"
    )
    return await execute(uri, query)


async def test_a_record_that_comes_again_is_stored_once(uri: str) -> None:
    await write(uri, rows(range(100)))
    await write(uri, rows(range(50, 150), first=100))
    assert await stored(uri) == (150, 150, 2)


async def test_another_jobs_records_are_others(uri: str) -> None:
    await write(uri, rows(range(10)))
    await write(uri, rows(range(10)), Owner("uid-2", "ns/k", 7))
    assert await stored(uri) == (20, 10, 2)


async def test_ids_are_rolled_back_with_their_rows(uri: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await write(uri, rows(range(995, 1005)))
    assert await ids(uri) == []
    async with sessions.opened(uri, SINK) as old, sessions.opened(uri, SINK) as new:
        positions = await old.claim(OWNER, {0: 0})
        await new.claim(OWNER, {0: 0})
        with pytest.raises(FencedError):
            await sessions.commit(old, OWNER, positions, rows(range(5)))
    assert (await ids(uri), await stored(uri)) == ([], (0, 0, 0))


async def test_only_what_the_topic_has_lost_is_forgotten(uri: str) -> None:
    await write(uri, rows(range(4)))
    await write(uri, rows(range(10, 12), partition=1, first=1))
    # The record of item 0 came again, and is still in the topic at offset 4.
    await write(uri, rows(range(1), first=4))
    await execute(uri, "INSERT INTO sluice.record_ids VALUES ('uid-1', 'of old', 6, 0, 99)")
    await execute(uri, "INSERT INTO sluice.record_ids VALUES ('uid-2', 'of another', 7, 0, 0)")
    await operator.prune(operator.Database(uri), "uid-1", 7, (3, 2))
    assert await ids(uri) == [
        ("of another", 7, 0, 0),
        ("run/11#0", 7, 1, 2),
        ("run/3#0", 7, 0, 3),
        ("run/0#0", 7, 0, 4),
    ]
    await write(uri, rows(range(3, 4), first=3) + rows(range(1), first=4))
    assert await stored(uri) == (6, 6, 2)


async def test_ids_go_in_slices_and_with_their_job(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "SLICE", 7)
    await write(uri, rows(range(50)))
    await operator.prune(operator.Database(uri), "uid-1", 7, (30,))
    assert len(await ids(uri)) == 20
    await write(uri, rows(range(3)), Owner("uid-2", "ns/k", 7))
    await operator.forget(operator.Database(uri), "uid-1")
    assert len(await ids(uri)) == 3
    assert await execute(uri, "SELECT job_uid FROM sluice.offsets") == [("uid-2",)]
