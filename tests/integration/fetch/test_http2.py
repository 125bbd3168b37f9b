"""HTTP/2 from a real nginx: streams, GOAWAY, resets, and servers that know none."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from integration.fetch.certificates import self_signed
from integration.fetch.proxy_servers import (
    Watch,
    microsocks,
    running,
    tinyproxy,
    tinyproxy_by_tls,
    watching,
)
from integration.fetch.servers import Nginx
from integration.fetch.world import MakeWorld, fetcher, numbers
from integration.processes import write_folder
from sluice_api.http import Http, Version
from sluice_api.source import CircuitBreaker, Proxies, Retry
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.arriving import Arriving
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.routes import Direct
from sluice_workers.wire import FailureReason

LOCAL = Addresses(("127.0.0.0/8",))
Outcome = Fetched | Failure


class Backend:
    """What nginx asks; it tells by which protocol it was asked, and of every request."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: Counter[str] = Counter()
        self.bodies: list[int] = []
        self.delay = 0.05
        self.under_way = self.most = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        self.asked[key] += 1
        self.bodies.append(len(await request.read()))
        if key == "away":
            return web.Response(status=302, headers={"Location": "/home"})
        if key == "long":
            return web.json_response({"id": "x" * (3 << 20)})
        if key.startswith("filled"):
            return web.json_response({"filler": "x" * 900_000, "data": [{"id": key}]})
        if key == "slow":
            return await self._drip(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.delay)
        self.under_way -= 1
        return web.json_response({"id": key, "method": request.method})

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.2)


@pytest.fixture
async def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed(tmp_path)))
    found = Backend()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/{key}", found.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


@contextmanager
def nginx(folder: Path, backend: Backend, also: str = "", *, http2: bool = True) -> Iterator[Nginx]:
    found = Nginx(folder, backend.port, http2=http2, also=also)
    try:
        yield found
    finally:
        found.kill()


class Client:
    """A job's API and its connections."""

    def __init__(self, port: int, **http: Any) -> None:
        content = {"url": f"https://127.0.0.1:{port}/{{key}}", "version": "HTTP/2", "timeout": "5s"}
        settings = Http.model_validate(content | http)
        self._api = Api(settings, {}, None, self._permitted, Breakers(CircuitBreaker()), LOCAL)
        self._routes = Direct(1000, LOCAL, http2=True)

    async def ask(self, key: str, text: str = "") -> Outcome:
        item = Item(0, 0, key.encode(), json.dumps({"text": text}).encode(), f"r/{key}", 1)
        return await self._api.ask(item, await self._routes.take(item.key))

    async def ask_all(self, count: int) -> list[Outcome]:
        return await asyncio.gather(*(self.ask(str(number)) for number in range(count)))

    async def close(self) -> None:
        await self._routes.close()

    async def _permitted(self) -> None:
        pass


@pytest.fixture
async def clients() -> AsyncIterator[list[Client]]:
    found: list[Client] = []
    yield found
    for each in found:
        await each.close()


def fetched(outcomes: list[Outcome]) -> int:
    wrong = [each for each in outcomes if not isinstance(each, Fetched)]
    assert not wrong, wrong[0]
    return len(outcomes)


async def test_requests_share_a_connection(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port))
        async with watching(server) as watch:  # type: ignore[arg-type]
            assert fetched(await client.ask_all(80)) == 80
    assert watch.most[server.port] == 1
    assert backend.asked == Counter(map(str, range(80)))


async def test_more_connections_where_the_server_allows_few_streams(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend, "http2_max_concurrent_streams 4;") as server:
        clients.append(client := Client(server.port))
        watch: Watch
        async with watching(server) as watch:  # type: ignore[arg-type]
            assert fetched(await client.ask_all(40)) == 40
            backend.delay = 0.3
            assert fetched(await client.ask_all(40)) == 40
    assert watch.most[server.port] == 10


async def test_large_answers_that_wait_to_be_read_hold_up_no_other(
    tmp_path: Path, backend: Backend, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one may be read at once, while all others of the connection have begun."""
    path = "sluice_workers.fetch.http.api.Arriving"
    monkeypatch.setattr(path, lambda: Arriving(1 << 20))
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port, records="$.data[*]"))
        asking = (client.ask(f"filled-{number}") for number in range(40))
        assert fetched(await asyncio.gather(*asking)) == 40


async def test_goaway_loses_no_answer(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend, "keepalive_requests 7;") as server:
        clients.append(client := Client(server.port))
        for _ in range(3):
            assert fetched(await client.ask_all(50)) == 50
    assert backend.asked == Counter({str(number): 3 for number in range(50)})


async def test_a_server_that_ends_answers_what_is_under_way(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port))
        fetched(await client.ask_all(1))
        backend.delay = 1.0
        asking = asyncio.create_task(client.ask_all(30))
        await asyncio.sleep(0.4)
        server.quit()
        assert fetched(await asking) == 30


async def test_a_reset_fails_its_own_item(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port))
        others, gone = await asyncio.gather(client.ask_all(20), client.ask("gone"))
    assert fetched(others) == 20
    assert isinstance(gone, Failure)
    assert gone.reason is FailureReason.CONNECTION
    assert "reset the stream" in gone.message


async def test_a_connection_that_breaks_fails_what_was_on_it(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    backend.delay = 2.0
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port))
        asking = asyncio.create_task(client.ask_all(10))
        await asyncio.sleep(0.5)
        server.kill()
        found = await asking
    assert {each.reason for each in found if isinstance(each, Failure)} == {
        FailureReason.CONNECTION
    }
    assert len(found) == 10


async def test_without_http2_the_server_is_asked_by_http1(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend, http2=False) as server:
        clients.append(client := Client(server.port))
        assert fetched(await client.ask_all(30)) == 30
        assert fetched(await client.ask_all(30)) == 30


async def test_bodies_are_sent_within_the_servers_windows(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        body = {"text": "{text}"}
        clients.append(client := Client(server.port, method="POST", body=body))
        found = await asyncio.gather(*(client.ask("k", "x" * 900_000) for _ in range(12)))
    assert fetched(found) == 12
    assert backend.bodies == [900_000] * 12


async def test_redirects_are_followed(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend, "absolute_redirect off; proxy_redirect off;") as server:
        clients.append(client := Client(server.port, maxRedirects=2))
        found = await client.ask("away")
    assert isinstance(found, Fetched)
    assert b'"home"' in found.records[0]


async def test_long_answers_are_called_off_and_the_connection_goes_on(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    """Thirty answers of 3 MiB, given up at 64 KiB, leave the connection's window as it was."""
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port, maxResponseBytes=65_536))
        async with watching(server) as watch:  # type: ignore[arg-type]
            for _ in range(30):
                found = await client.ask("long")
                assert isinstance(found, Failure)
                assert found.reason is FailureReason.TOO_LARGE
            assert fetched(await client.ask_all(50)) == 50
    assert watch.most[server.port] == 1


async def test_long_answers_are_read_whole(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port, maxResponseBytes=4 << 20))
        found = await asyncio.gather(*(client.ask("long") for _ in range(5)))
    # A record of 3 MiB is more than the broker takes; it was read to its end all the same.
    assert {each.reason for each in found if isinstance(each, Failure)} == {FailureReason.TOO_LARGE}
    assert all("the broker takes" in each.message for each in found if isinstance(each, Failure))


async def test_what_takes_too_long_is_called_off(
    tmp_path: Path, backend: Backend, clients: list[Client]
) -> None:
    with nginx(tmp_path, backend) as server:
        clients.append(client := Client(server.port, timeout="1s"))
        slow, others = await asyncio.gather(client.ask("slow"), client.ask_all(20))
    assert fetched(others) == 20
    assert isinstance(slow, Failure)
    assert slow.reason is FailureReason.TIMEOUT


PROXIES = {"http": tinyproxy, "https": tinyproxy_by_tls, "socks5": lambda _: microsocks()}


@pytest.mark.parametrize("make_proxy", PROXIES.values(), ids=PROXIES)
async def test_permits_bound_connections_not_requests(
    make_world: MakeWorld, tmp_path: Path, backend: Backend, make_proxy: Any
) -> None:
    """Two pods of two processes: four connections, five requests on each, through a proxy."""
    backend.delay = 0.2
    with nginx(tmp_path, backend, "http2_max_concurrent_streams 5;") as server:
        http = Http(url=f"https://127.0.0.1:{server.port}/{{key}}", version=Version.HTTP_2)
        proxies = Proxies.model_validate(
            {"secretRef": {"name": "proxies"}, "maxConnectionsPerProxy": 4}
        )
        world = await make_world(proxies=proxies, http=http, retry=Retry(attempts=1))
        await world.seed(*numbers(400))
        with running(make_proxy(tmp_path)) as servers:
            write_folder(world.folder, {"proxies/proxies": servers[0].url})
            async with watching(*servers) as watch, fetcher(world), fetcher(world):
                await world.wait_committed(400)
    assert list(watch.most.values()) == [4]
    assert 8 < backend.most <= 20
    assert set(backend.asked) == set(numbers(400))
    assert await world.failed() == set()
