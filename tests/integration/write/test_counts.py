"""What a writer's metrics count when rows of a batch are refused."""

import asyncio
import re

import aiohttp
import pytest

from integration.processes import free_port, pod
from integration.write.test_writer import World, world

__all__ = ["world"]


async def metric(port: int, name: str) -> float:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("again", [False, True])
async def test_rows_that_were_refused_are_not_counted_as_written(world: World, again: bool) -> None:
    """``again``: with a row whose newest version is refused, so that the older one is written."""
    await world.fetch("ALTER TABLE users ADD CHECK (name NOT IN ('v3', 'v9'))")
    await world.produce(range(10), lambda number: number)
    if again:
        await world.produce(range(1, 2), lambda _: 9)
    port = free_port()
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(10 + again)
        async with asyncio.timeout(10):
            while await metric(port, "sluice_write_records_total") < 10 + again:
                await asyncio.sleep(0.2)
        assert await world.fetch("SELECT count(*) FROM users") == [(8,)]
        assert await metric(port, "sluice_write_rows_total") == 8
        assert await metric(port, "sluice_write_rejected_total") == 2 + again
