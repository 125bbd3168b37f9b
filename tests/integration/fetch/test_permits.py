"""Permits of many processes on a real Redis: within the bound, and nobody waits for ever."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from integration.fetch.servers import own_redis
from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_workers import redis_client
from sluice_workers.fetch.permits import LEASE, MARGIN, ROUND, SETTLE, Ask, Permits

Make = Callable[[str], Permits]


@pytest.fixture
async def make(redis_url: str, job: JobName) -> AsyncIterator[Make]:
    redis = Redis.from_url(redis_url)
    yield lambda holder: Permits(redis, job.redis_key("permits"), holder)
    await redis.aclose()


@pytest.mark.parametrize("seed", range(5))
async def test_holders_never_use_more_than_the_bound_together(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    caps = {"a": 10, "b": 3}
    holders = [make(str(number)) for number in range(6)]
    allowed = [dict.fromkeys(caps, 0) for _ in holders]
    for _ in range(300):
        number = chance.randrange(len(holders))
        mine = allowed[number]
        asks = [Ask(name, cap, chance.randint(0, cap), mine[name]) for name, cap in caps.items()]
        granted = await holders[number].renew(asks)
        # What it may use until its next renewal is the grant; what it claimed is closed by then.
        claimed = {name: max(mine[name], grant) for name, grant in zip(caps, granted, strict=True)}
        for name, cap in caps.items():
            others = sum(each[name] for each in allowed if each is not mine)
            assert others + claimed[name] <= cap
        mine.update(zip(caps, granted, strict=True))


async def test_wants_are_served_evenly(make: Make) -> None:
    holders = [make(str(number)) for number in range(3)]
    wants, found = (1, 20, 20), [0, 0, 0]
    for _ in range(4):
        for number, holder in enumerate(holders):
            ask = Ask("a", 13, wants[number], found[number])
            found[number] = (await holder.renew([ask]))[0]
    assert found == [1, 6, 6]


async def test_fewer_permits_than_holders_go_round(make: Make) -> None:
    holders = [make(str(number)) for number in range(3)]
    held, served = [0, 0, 0], set()
    for _ in range(int(3 * ROUND / 0.5) + 10):
        for number, holder in enumerate(holders):
            held[number] = (await holder.renew([Ask("a", 1, 1, held[number])]))[0]
            served |= {number} if held[number] else set()
        assert sum(held) <= 1
        if len(served) == 3:
            return
        await asyncio.sleep(0.5)
    pytest.fail(f"only {served} had a turn")


async def test_what_a_killed_holder_had_comes_back_with_its_lease(make: Make) -> None:
    await make("killed").renew([Ask("a", 4, 4, 0)])
    heir, granted = make("heir"), 0
    assert await heir.renew([Ask("a", 4, 4, 0)]) == (0,)
    async with asyncio.timeout(LEASE + 2):
        while granted < 4:
            await asyncio.sleep(0.5)
            granted = (await heir.renew([Ask("a", 4, 4, granted)]))[0]


async def test_a_redis_that_lost_everything_grants_nothing_new_until_all_have_asked(
    make: Make, redis_url: str, job: JobName
) -> None:
    first, second = make("first"), make("second")
    assert await first.renew([Ask("a", 4, 3, 0)]) == (3,)
    assert await second.renew([Ask("a", 4, 4, 0)]) == (1,)
    redis = Redis.from_url(redis_url)
    await redis.delete(job.redis_key("permits"))
    await redis.aclose()
    assert await second.renew([Ask("a", 4, 4, 1)]) == (1,)
    assert await make("third").renew([Ask("a", 4, 4, 0)]) == (0,), "not to one that is new either"
    assert await first.renew([Ask("a", 4, 3, 3)]) == (3,)
    await asyncio.sleep(SETTLE + 0.2)
    assert sum(await first.renew([Ask("a", 4, 0, 0)])) == 0
    assert await second.renew([Ask("a", 4, 4, 1)]) > (1,)


async def lose(redis_url: str, job: JobName) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.delete(job.redis_key("permits"))


async def test_one_that_is_new_and_first_after_a_loss_does_not_hide_it(
    make: Make, redis_url: str, job: JobName
) -> None:
    first, second = make("first"), make("second")
    assert await first.renew([Ask("a", 4, 2, 0)]) == (2,)
    assert await second.renew([Ask("a", 4, 2, 0)]) == (2,)
    await lose(redis_url, job)
    assert await make("new").renew([Ask("a", 4, 1, 0)]) == (1,), "it cannot know"
    assert await first.renew([Ask("a", 4, 3, 2)]) == (2,), "it had a lease that is not there"


async def test_who_comes_back_after_its_lease_does_not_take_those_of_others(
    make: Make, redis_url: str, job: JobName
) -> None:
    cut_off = make("cut off")
    assert await cut_off.renew([Ask("a", 4, 1, 0)]) == (1,)
    await asyncio.sleep(LEASE - MARGIN + 0.1)
    assert await make("other").renew([Ask("a", 4, 3, 0)]) == (3,)
    await lose(redis_url, job)
    assert await cut_off.renew([Ask("a", 4, 4, 0)]) == (0,)


async def test_a_silent_redis_keeps_nobody_from_the_end_of_its_lease(job: JobName) -> None:
    with own_redis() as server:
        permits = Permits(redis_client.connect(server.url), job.redis_key("permits"), "a")
        await permits.renew([Ask("a", 4, 1, 0)])
        started = time.monotonic()
        async with Redis.from_url(server.url) as admin:
            await admin.execute_command("CLIENT", "PAUSE", 60_000)
        with pytest.raises(DependencyError):
            await permits.renew([Ask("a", 4, 1, 1)])
        assert time.monotonic() < started + LEASE - 0.5


async def test_a_holder_that_leaves_gives_back_at_once(make: Make) -> None:
    leaving, heir = make("leaving"), make("heir")
    await leaving.renew([Ask("a", 4, 4, 0)])
    await leaving.renew([])
    assert await heir.renew([Ask("a", 4, 4, 0)]) == (4,)


async def test_without_redis_the_lease_ends_and_the_reason_is_told() -> None:
    permits = Permits(Redis.from_url("redis://127.0.0.1:1/0"), "k", "h")
    with pytest.raises(DependencyError, match="none is opened without them"):
        await permits.renew([Ask("a", 1, 1, 0)])
    assert permits.ended(0.0)
