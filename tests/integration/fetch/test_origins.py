"""A job that asks several origins, of which one is down: the items of the others go on."""

import json
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from integration.fetch.world import MakeWorld, Server, World, keys, told
from integration.processes import free_port, pod
from sluice_api.http import Http
from sluice_api.source import CircuitBreaker
from sluice_workers.producer import Message, Producer

EACH = 300
BREAKER = CircuitBreaker.model_validate({"failures": 5, "pause": {"initial": "200ms", "max": "1s"}})


class Other:
    """A second origin, down until it is told otherwise."""

    def __init__(self) -> None:
        self.up = False
        self.asked = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if not self.up:
            return web.Response(status=503)
        return web.json_response({"id": request.match_info["key"]})


@pytest.fixture
async def other(server: Server) -> AsyncIterator[Other]:
    found = Other()
    app = web.Application()
    app.router.add_get("/{key}", found.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", server.port).start()
    yield found
    await runner.cleanup()


async def put(world: World, hosts: dict[str, str]) -> None:
    producer = Producer(world.kafka, world.settings.compression)
    messages = [
        Message(key.encode(), json.dumps({"at": at}).encode(), ()) for key, at in hosts.items()
    ]
    await producer.send(world.settings.items.name, messages)
    await producer.close()


async def goes_on(world: World, other: Other, origin: str) -> None:
    """The items of the origin that is up are done while the other is down; then the others."""
    records = world.settings.records
    port = free_port()
    begun = time.monotonic()
    async with pod("fetch", world.folder, port=port):
        while len(keys(await world.read(records))) < EACH:
            assert time.monotonic() - begun < 40, "the items of the origin that is up wait"
        assert f"{origin} does not serve: the API answered 503" in await told(
            port, "ApiUnavailable"
        )
        assert not any(key.startswith("down") for key in keys(await world.read(records)))
        asked, since = other.asked, time.monotonic()
        assert asked < 5 + 20 + 10 + (since - begun) * 6, "what was under way, and few tries"
        other.up = True
        await world.wait_committed(2 * EACH)
    assert len(keys(await world.read(records))) == 2 * EACH
    assert await world.failed() == set(), "nobody's attempts were burnt"


async def test_of_hosts_that_items_name(
    make_world: MakeWorld, server: Server, other: Other
) -> None:
    """Both listen on one port of two addresses, as the items' hosts cannot name a port."""
    http = Http(url=f"http://127.0.0.{{at}}:{server.port}/{{key}}")
    world = await make_world(http=http, processes=1, concurrency=20, circuit_breaker=BREAKER)
    down = {f"down-{number}": "2" for number in range(EACH)}
    await put(world, down | {f"up-{number}": "1" for number in range(EACH)})
    await goes_on(world, other, f"http://127.0.0.2:{server.port}")


async def test_to_which_redirects_lead(make_world: MakeWorld, server: Server, other: Other) -> None:
    origin = f"http://127.0.0.2:{server.port}"

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        if key.startswith("down"):
            return web.Response(status=302, headers={"Location": f"{origin}/{key}"})
        return web.json_response({"id": key})

    server.answer = answer
    url = f"http://127.0.0.1:{server.port}/{{key}}"
    http = Http(url=url, allowed_origins=(origin,), max_redirects=2)
    world = await make_world(http=http, processes=1, concurrency=20, circuit_breaker=BREAKER)
    await world.seed(*(f"{kind}-{n}" for kind in ("down", "up") for n in range(EACH)))
    await goes_on(world, other, origin)
