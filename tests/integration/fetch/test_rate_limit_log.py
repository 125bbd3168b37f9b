"""The rate limit as the API sees it: its own log, two pods of four processes each."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from integration.fetch.servers import own_redis
from integration.fetch.world import MakeWorld, World, fetched, numbers, told
from integration.processes import free_port, pod, write_folder
from sluice_api.http import Http
from sluice_api.source import RateLimit
from sluice_benchmarks.api import Api, api, busiest
from sluice_workers.fetch.rate_limit import AHEAD, LATEST

pytestmark = pytest.mark.alone
RATE, BURST = 200, 20
JITTER = 1.02
PODS, PROCESSES = 2, 4
LIMIT = RateLimit.model_validate({"requests": RATE, "per": "1s", "burst": BURST})


@pytest.fixture
def log() -> Iterator[Api]:
    with api(0.02) as found:
        yield found


async def job(make_world: MakeWorld, log: Api, items: int) -> World:
    world = await make_world(
        http=Http(url=f"http://127.0.0.1:{log.port}/{{key}}"),
        rate_limit=LIMIT,
        processes=PROCESSES,
        partitions=PODS * PROCESSES,
    )
    await world.seed(*numbers(items))
    return world


def assert_within_limits(times: Sequence[float]) -> None:
    for seconds in (1.0, 2.0, 3.0, 5.0):
        allowed = RATE * seconds * JITTER + BURST
        assert busiest(times, seconds) <= allowed, f"in {seconds} s"


async def until_all_work(ports: Sequence[int], seconds: float = 40) -> None:
    """Wait until each of the eight processes has its partition."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                states = [json.loads(await fetched(port, "/state")) for port in ports]
                assigned = [each["assigned"] for state in states for each in state["processes"]]
                if sorted(assigned) == [[partition] for partition in range(8)]:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.2)


async def test_no_window_of_the_apis_log_holds_more(make_world: MakeWorld, log: Api) -> None:
    world = await job(make_world, log, 3000)
    ports = free_port(), free_port()
    async with pod("fetch", world.folder, port=ports[0]), pod("fetch", world.folder, port=ports[1]):
        await until_all_work(ports)
        await world.wait_committed(3000)
    assert_within_limits(log.asked)


async def test_without_redis_nothing_is_sent_and_an_empty_one_begins_empty(
    make_world: MakeWorld, log: Api, tmp_path: Path
) -> None:
    with own_redis() as redis, (tmp_path / "log").open("wb") as output:
        world = await job(make_world, log, 3000)
        write_folder(world.folder, {"redis/url": redis.url})
        port = free_port()
        async with (
            pod("fetch", world.folder, port=port, output=output),
            pod("fetch", world.folder, output=output),
        ):
            await until_asked(log, 600)
            await flush(redis.url)
            await until_asked(log, 1500)
            redis.kill()
            killed = time.monotonic()
            assert "RedisUnreachable" in await told(port, "nothing is sent without it")
            await asyncio.sleep(2)
            silent = time.monotonic()
            redis.start()
            await world.wait_committed(3000)
    assert_within_limits(log.asked)
    grace = AHEAD + LATEST
    assert not [at for at in log.asked if killed + grace < at < silent]
    # By whoever asked first.
    assert "RateLimitForgotten" in (tmp_path / "log").read_text()


async def until_asked(log: Api, count: int) -> None:
    async with asyncio.timeout(60):
        while len(log.asked) < count:
            await asyncio.sleep(0.05)


async def flush(url: str) -> None:
    client = Redis.from_url(url)
    await client.flushall()
    await client.aclose()
