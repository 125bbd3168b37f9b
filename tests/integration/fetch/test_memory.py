"""A process holds few large answers at once, however many requests are in flight."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from integration.fetch.test_membership import event_loops
from integration.fetch.world import MakeWorld, fetcher, keys, numbers
from sluice_api.http import Http
from sluice_api.spec import Fetcher
from sluice_operator import sizing

LARGE = 3_900_000
AT_ONCE = 100


@pytest.fixture
async def slow_end() -> AsyncIterator[int]:
    """An API whose answers come at once, but for their end. The port."""
    filler = b'"' + b"x" * LARGE + b'", '

    async def answer(request: web.Request) -> web.StreamResponse:
        found = web.StreamResponse()
        await found.prepare(request)
        await found.write(b'{"filler": ' + filler)
        await asyncio.sleep(0.5)
        await found.write(b'"data": [{"id": 1}]}')
        return found

    app = web.Application()
    app.router.add_get("/{key}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


async def test_of_many_that_come_at_once(make_world: MakeWorld, slow_end: int) -> None:
    url = f"http://127.0.0.1:{slow_end}/{{key}}"
    http = Http(url=url, records="$.data[*]", max_response_bytes=4 << 20)
    world = await make_world(http=http, processes=1, concurrency=AT_ONCE)
    await world.seed("first")
    async with fetcher(world) as process:
        await world.wait_committed(1)
        (pid,) = event_loops(process.pid)
        await world.seed(*numbers(AT_ONCE))
        await world.wait_committed(1 + AT_ONCE)
        most = peak(pid)
    assert len(keys(await world.read(world.settings.records))) == 1 + AT_ONCE
    assert await world.failed() == set()
    pod = sizing.fetcher(Fetcher(processes=1, concurrency=AT_ONCE), http)
    assert most < pod.limits["memory"].number - sizing.SUPERVISOR < AT_ONCE * LARGE
