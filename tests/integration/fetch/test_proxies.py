"""Fetchers behind real proxy servers, whose connections the kernel counts."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from integration.fetch.certificates import self_signed
from integration.fetch.proxy_servers import (
    PASSWORD,
    QUOTED,
    ProxyServer,
    microsocks,
    running,
    tinyproxy,
    tinyproxy_by_tls,
    watching,
)
from integration.fetch.world import (
    MakeWorld,
    Server,
    World,
    fetched,
    fetcher,
    keys,
    numbers,
    parsed,
    told,
)
from integration.processes import free_port, kill, pod, write_folder
from sluice_api.http import Http
from sluice_api.source import Proxies, Retry
from sluice_workers.fetch.permits import LEASE

ONCE = Retry(attempts=1)


def proxies(**changes: object) -> Proxies:
    content = {"secretRef": {"name": "proxies"}, "maxConnectionsPerProxy": 4}
    return Proxies.model_validate(content | changes)


def listed(world: World, *servers: ProxyServer, also: str = "") -> None:
    lines = "\n".join(server.url for server in servers)
    write_folder(world.folder, {"proxies/proxies": f"{lines}\n{also}"})


async def test_bounds_hold_for_all_pods_together_though_one_is_killed(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(proxies=proxies(), max_connections=9, retry=ONCE)
    await world.seed(*numbers(3000))
    with running(*(tinyproxy(tmp_path) for _ in range(3))) as servers:
        listed(world, *servers)
        async with watching(*servers) as watch, fetcher(world), fetcher(world) as second:
            await world.wait_committed(500)
            await kill(second)
            killed = time.monotonic()
            while sum(watch.open().values()) < 9:
                await asyncio.sleep(0.1)
            assert time.monotonic() - killed < LEASE + 5, "what it held comes back with its lease"
            await world.wait_committed(3000)
    assert watch.samples > 100
    assert max(watch.most.values()) == 4
    assert watch.most_together == 9
    assert set(keys(await world.read(world.settings.records))) == set(numbers(3000))
    assert await world.failed() == set()


async def test_socks5_with_the_same_bounds(make_world: MakeWorld) -> None:
    world = await make_world(proxies=proxies(), retry=ONCE)
    await world.seed(*numbers(800))
    with running(microsocks(), microsocks()) as servers:
        listed(world, *servers)
        async with watching(*servers) as watch, fetcher(world), fetcher(world):
            await world.wait_committed(800)
    assert list(watch.most.values()) == [4, 4]
    assert set(keys(await world.read(world.settings.records))) == set(numbers(800))


async def test_a_proxy_that_is_down_costs_no_item_an_attempt(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(proxies=proxies(), retry=ONCE)
    await world.seed(*numbers(600))
    with running(tinyproxy(tmp_path)) as servers:
        # Not a port that connections leave from: one may meet itself there.
        dead = "http://127.0.0.1:1\nftp://nowhere\n"
        listed(world, *servers, also=dead)
        async with fetcher(world):
            await world.wait_committed(600)
    assert await world.read(world.settings.dead) == []


async def test_an_item_that_no_proxy_can_ask_for_is_given_up_by_its_deadline(
    make_world: MakeWorld, server: Server
) -> None:
    patient = proxies(circuitBreaker={"failures": 1000})
    http = Http(url=f"http://{{key}}:{server.port}/x")
    retry = Retry.model_validate({"attempts": 1, "deadline": "3s"})
    world = await make_world(proxies=patient, http=http, retry=retry, processes=1)
    await world.seed("localhost", "no-such-host.invalid")
    with running(microsocks()) as servers:
        listed(world, *servers)
        async with fetcher(world):
            await world.wait_committed(2, 30)
    assert list(keys(await world.read(world.settings.records))) == ["localhost"]
    (dead,) = map(parsed, await world.read(world.settings.dead))
    assert (dead.key, dead.reason) == ("no-such-host.invalid", "ProxyFailed")
    assert dead.message.endswith("another attempt would pass the deadline of 3s")


async def test_a_changed_list_is_followed_and_no_secret_is_told(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(proxies=proxies(), retry=ONCE)
    await world.seed(*numbers(300))
    with running(microsocks()) as servers, (tmp_path / "log").open("wb") as output:
        port = free_port()
        wrong = servers[0].url.replace(QUOTED, QUOTED + "x")
        listed(world, also=f"{wrong}\nsocks4://scout:{QUOTED}@h:1\n")
        async with pod("fetch", world.folder, port=port, output=output):
            assert "authentication" in await told(port, "ProxiesFailing")
            await asyncio.sleep(2)
            assert await world.committed() == 0
            listed(world, *servers)
            await world.wait_committed(300)
            seen = [await fetched(port, path) for path in ("/state", "/metrics")]
    assert await world.failed() == set()
    assert "sluice_fetch_proxy_requests_total" in seen[1]
    log = (tmp_path / "log").read_text()
    assert "line 3 must begin with" in log
    for text in (*seen, log):
        assert PASSWORD not in text
        assert QUOTED not in text


@pytest.fixture
async def secure_server(tmp_path: Path) -> AsyncIterator[tuple[int, Counter[str]]]:
    """The API by HTTPS; SSL_CERT_FILE trusts its certificate."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        asked[request.match_info["key"]] += 1
        await asyncio.sleep(0.02)
        return web.json_response({"id": request.match_info["key"]})

    app = web.Application()
    app.router.add_get("/{key}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1], asked
    await runner.cleanup()


PROXIES = {"http": tinyproxy, "https": tinyproxy_by_tls, "socks5": lambda _: microsocks()}


@pytest.mark.parametrize("make_proxy", PROXIES.values(), ids=PROXIES)
async def test_https_goes_through_a_tunnel(
    make_world: MakeWorld,
    secure_server: tuple[int, Counter[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_proxy: object,
) -> None:
    port, asked = secure_server
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    http = Http(url=f"https://127.0.0.1:{port}/{{key}}")
    world = await make_world(proxies=proxies(), http=http, retry=ONCE, processes=1)
    await world.seed(*numbers(200))
    with running(make_proxy(tmp_path)) as servers:  # type: ignore[operator]
        listed(world, *servers)
        async with watching(*servers) as watch, fetcher(world):
            await world.wait_committed(200)
    assert list(watch.most.values()) == [4]
    assert asked == Counter(numbers(200))


@pytest.mark.usefixtures("secure_server")
async def test_a_proxy_that_is_spoken_to_by_https(
    make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(proxies=proxies(), retry=ONCE)
    await world.seed(*numbers(200))
    with running(tinyproxy_by_tls(tmp_path)) as servers:
        listed(world, *servers)
        port = free_port()
        async with pod("fetch", world.folder, port=port):
            assert "CERTIFICATE_VERIFY_FAILED" in await told(port, "ProxiesFailing")
        assert await world.committed() == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        async with watching(*servers) as watch, fetcher(world):
            await world.wait_committed(200)
    assert list(watch.most.values()) == [4]
    assert await world.failed() == set()
