"""The failed set while it is lost, and built by those who are slow."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from sluice_api.names import JobName
from sluice_workers.failed_set import FailedSet, redis_key

GENERATION = 3


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def failed(redis: Redis, job: JobName) -> FailedSet:
    return FailedSet(redis, job, GENERATION)


async def begun(failed: FailedSet) -> bytes:
    building = await failed.begin()
    assert building is not None
    return building


async def keys(failed: FailedSet) -> set[str]:
    return {key async for page in failed.pages() for key in page}


async def test_who_read_the_topic_before_the_set_was_lost_again_does_not_complete_it(
    failed: FailedSet, redis: Redis, job: JobName
) -> None:
    slow = await begun(failed)
    await failed.add({"given up after the slow one read": 4})
    await redis.delete(redis_key(job, GENERATION))
    assert not await failed.rebuild(slow, {})
    assert not await failed.complete()
    later = await begun(failed)
    assert not await failed.rebuild(slow, {"recovered since": 2})
    assert await failed.rebuild(later, {"given up after the slow one read": 4})
    assert await failed.complete()
    assert await keys(failed) == {"given up after the slow one read"}


async def test_those_who_build_at_once_share_the_building(failed: FailedSet) -> None:
    first, second = await begun(failed), await begun(failed)
    assert first == second
    assert await failed.rebuild(first, {"a": 2})
    assert not await failed.rebuild(second, {"a": 2, "b": 2})
    assert await failed.begin() is None
    assert await keys(failed) == {"a"}


async def test_a_success_waits_until_the_set_is_complete(failed: FailedSet) -> None:
    building = await begun(failed)
    assert not await failed.take_out({"a": 2}), "who builds may bring it in afterwards"
    assert await failed.rebuild(building, {"a": 2})
    assert await failed.take_out({"a": 2})
    assert await keys(failed) == set()


async def test_a_loss_is_noticed_by_who_asks_for_no_key(failed: FailedSet) -> None:
    assert await failed.among([]) is None
    assert await failed.rebuild(await begun(failed), {})
    assert await failed.among([]) == set()
