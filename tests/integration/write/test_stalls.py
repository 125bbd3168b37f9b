"""Writers that are frozen in the middle of a transaction, and successors that pass them."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sluice_api.sink import PostgresSink
from sluice_migrations import environment, target
from sluice_migrations.database import within
from sluice_workers.write.database import connect
from sluice_workers.write.offsets import Owner
from sluice_workers.write.pool import Pool
from sluice_workers.write.session import Session

OWNER = Owner("u", "ns/j", 7)
APPLICATION = "sluice/ns/j"
WITHIN = 15.0
"""Seconds in which a successor passes: two for patience, a look, the rest for a busy machine."""
SINK = PostgresSink.model_validate(
    {
        "secretRef": {"name": "w"},
        "table": "public.users",
        "key": ["id"],
        "columns": {
            "id": {"type": "bigint"},
            "name": {"type": "text"},
            "doc": {"type": "jsonb", "path": "$"},
            "fetched_at": {"type": "timestamptz", "metadata": "FetchedAt"},
        },
    }
)


def open_session(uri: str) -> Session:
    async def opened() -> Any:
        return await connect(uri, APPLICATION)

    return Session(Pool(opened), SINK, APPLICATION)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def stopped(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while not is_stopped(process.pid):
            assert process.returncode is None
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("point", ["copy", "copied", "advanced"])
async def test_a_successor_passes_a_writer_that_was_frozen(postgres_uri: str, point: str) -> None:
    def prepare(connection: Any) -> None:
        environment.upgrade(connection)
        target.prepare(connection, SINK)

    await within(postgres_uri, prepare)
    session = open_session(postgres_uri)
    epoch = (await session.claim(OWNER, {0: 0}))[0].epoch
    script = Path(__file__).with_name("stalled_writer.py")
    slow = await asyncio.create_subprocess_exec(
        sys.executable, str(script), point, postgres_uri, str(epoch),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert slow.stdin is not None
        slow.stdin.write(SINK.model_dump_json(by_alias=True).encode())
        slow.stdin.close()
        await stopped(slow)
        started = time.monotonic()
        positions = await session.claim(OWNER, {0: 0})
        assert positions[0].next_offset == 0
        async with session.transaction(OWNER) as transaction:
            # The same rows: what the other one has written of them is in the way.
            await transaction.write([(number, "new", b"{}", None, 1) for number in range(100)])
            await transaction.advance(OWNER, positions, {0: 100})
        assert time.monotonic() - started < WITHIN
        os.kill(slow.pid, signal.SIGCONT)
        assert slow.stdout is not None
        async with asyncio.timeout(60):
            said = (await slow.stdout.read()).decode().strip()
            await slow.wait()
    finally:
        if slow.returncode is None:
            slow.kill()
            await slow.wait()
    assert said not in {"", "committed"}
    connection = await asyncpg.connect(postgres_uri)
    rows = await connection.fetchrow("SELECT count(*), min(name), max(name) FROM users")
    ends = await connection.fetchval("SELECT next_offset FROM sluice.offsets")
    await connection.close()
    await session.close()
    assert tuple(rows or ()) == (100, "new", "new")
    assert ends == 100
