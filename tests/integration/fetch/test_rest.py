"""What an API asks one process for, on a real Redis: all processes of the job rest."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from redis.asyncio import Redis

from integration.fetch.world import MakeWorld, Server, fetcher, numbers
from integration.processes import free_port
from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_workers.fetch.rest import LOOK, SharedRest


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def waited(rest: SharedRest) -> float:
    started = time.monotonic()
    await rest.acquire()
    return time.monotonic() - started


async def test_the_others_rest_too_and_a_shorter_wait_ends_nothing(
    redis: Redis, job: JobName
) -> None:
    first, second, third = (SharedRest(redis, job) for _ in range(3))
    assert await waited(second) < 0.5
    await first.slow_down(rest=3.0, lower=True)
    await third.slow_down(rest=0.5, lower=True)
    assert first.rest(time.monotonic()) > 2.5
    assert 2.0 < await waited(third) < 3.2
    assert await waited(second) < 0.5
    assert await redis.keys(job.redis_key("rest")) == []


async def test_who_has_looked_a_moment_ago_looks_again_within_a_second(
    redis: Redis, job: JobName
) -> None:
    first, second = SharedRest(redis, job), SharedRest(redis, job)
    await second.acquire()
    await first.slow_down(rest=4.0, lower=True)
    assert await waited(second) < 0.1, "it does not know yet"
    await asyncio.sleep(LOOK)
    assert await waited(second) > 2.0


async def test_without_redis_one_process_rests_and_the_others_go_on(job: JobName) -> None:
    nowhere = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")
    first, second = SharedRest(nowhere, job), SharedRest(nowhere, job)
    with pytest.raises(DependencyError, match="one process rests"):
        await first.slow_down(rest=1.0, lower=True)
    assert first.rest(time.monotonic()) > 0.5
    assert await waited(second) < 0.5


async def test_a_retry_after_rests_every_pod(make_world: MakeWorld, server: Server) -> None:
    times: list[float] = []
    refused: list[float] = []

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        now = time.monotonic()
        times.append(now)
        await asyncio.sleep(0.05)
        if len(times) > 2000 and not refused:
            refused.append(time.monotonic())
            return web.Response(status=429, headers={"Retry-After": "4"})
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world(concurrency=10)
    await world.seed(*numbers(6000))
    async with fetcher(world), fetcher(world):
        await world.wait_committed(6000)
    (at,) = refused
    resting = [each - at for each in times if LOOK + 0.3 < each - at < 3.5]
    assert resting == []
    assert max(times) - at > 4.0
