"""Ways to the API as their list changes, on a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from sluice_api.names import JobName
from sluice_api.source import Proxies
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.leased_routes import Bounds, LeasedRoutes
from sluice_workers.fetch.permits import LEASE, Permits
from sluice_workers.fetch.routes import Route

Make = Callable[..., LeasedRoutes]
PROXIES = Proxies.model_validate({"secretRef": {"name": "p"}, "maxConnectionsPerProxy": 1})


@pytest.fixture
async def make(redis_url: str, job: JobName, tmp_path: Path) -> AsyncIterator[Make]:
    redis, made = Redis.from_url(redis_url), []

    def routes(say: Callable[[str, str], None] = lambda *_: None) -> LeasedRoutes:
        permits = Permits(redis, job.redis_key("permits"), "holder")
        bounds = Bounds(PROXIES, tmp_path / "proxies", None)
        made.append(LeasedRoutes(bounds, permits, Addresses(), say))
        return made[-1]

    yield routes
    for each in made:
        await each.close()
    await redis.aclose()


@asynccontextmanager
async def silent_proxy() -> AsyncIterator[str]:
    """A proxy that never answers; yields where it is."""
    ends: list[asyncio.StreamWriter] = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for end in ends:
            end.close()
            await end.wait_closed()


async def ask(routes: LeasedRoutes) -> tuple[Route, "asyncio.Task[object]"]:
    """Begin a request; return its way and what becomes of it."""
    held = await asyncio.wait_for(routes.take(b"a"), 10)
    return held, asyncio.ensure_future(held.session.get("http://api.example/"))


async def test_a_proxy_that_comes_back_still_counts_what_is_open(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "proxies").write_text("http://127.0.0.1:1\n")
    routes = make()
    held = await asyncio.wait_for(routes.take(b"a"), 10)
    (tmp_path / "proxies").write_text("")
    await asyncio.sleep(2.5)
    (tmp_path / "proxies").write_text("http://127.0.0.1:1\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(routes.take(b"b"), 4)
    routes.give_back(held, None, 0)
    held = await asyncio.wait_for(routes.take(b"c"), 4)
    routes.give_back(held, None, 0)


async def test_a_proxy_that_left_the_list_has_no_connections(make: Make, tmp_path: Path) -> None:
    def told(where: str) -> float | None:
        return REGISTRY.get_sample_value("sluice_fetch_proxy_connections", {"proxy": where})

    async with silent_proxy() as where:
        (tmp_path / "proxies").write_text(f"http://{where}\n")
        routes = make()
        held, asking = await ask(routes)
        await asyncio.sleep(2.5)
        assert told(where) == 1
        (tmp_path / "proxies").write_text("")
        asking.cancel()
        routes.give_back(held, None, 0)
        await asyncio.sleep(2.5)
        assert told(where) == 0


async def test_who_was_frozen_for_longer_than_its_lease_closes_what_is_open(
    make: Make, tmp_path: Path
) -> None:
    """Others may have been granted its permits: that Redis answers again changes nothing."""
    async with silent_proxy() as where:
        (tmp_path / "proxies").write_text(f"http://{where}\n")
        routes = make()
        held, asking = await ask(routes)
        await asyncio.sleep(0.5)
        time.sleep(LEASE)  # noqa: ASYNC251  nothing of the process goes on
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(asking, 1)
        routes.give_back(held, None, 0)
        again = await asyncio.wait_for(routes.take(b"b"), 4)
        routes.give_back(again, None, 0)


async def test_what_nobody_foresaw_ends_those_that_wait(make: Make, tmp_path: Path) -> None:
    def say(_reason: str, _message: str) -> None:
        raise RuntimeError("not foreseen")

    (tmp_path / "proxies").write_text("")
    routes = make(say)
    for key in (b"waits already", b"comes later"):
        with pytest.raises(RuntimeError, match="not foreseen"):
            await asyncio.wait_for(routes.take(key), 10)
