"""The rate limit on a real Redis: what many processes together let start."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sluice_api.errors import DependencyError
from sluice_api.names import JobName
from sluice_api.source import RateLimit
from sluice_workers.fetch.rate_limit import AHEAD, Terms, TokenBucket
from sluice_workers.runtime.cancel import cancel

pytestmark = pytest.mark.alone
PROCESSES = 8
RATE = 400
BURST = 10
JITTER = 1.02
TERMS = Terms.of(RateLimit(requests=RATE, burst=BURST))
LATE = TERMS.late
said: list[str] = []
Make = Callable[..., list[TokenBucket]]


class Answers(Redis):
    """A client that hears the next answer of its server as much later as it is told."""

    late = 0.0

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        found = await super().execute_command(*arguments, **options)
        late, self.late = self.late, 0.0
        await asyncio.sleep(late)
        return found


@pytest.fixture
async def clients() -> AsyncIterator[list[Answers]]:
    found: list[Answers] = []
    yield found
    for client in found:
        await client.aclose()


@pytest.fixture
async def make(redis_url: str, job: JobName, clients: list[Answers]) -> Make:

    def buckets(**changes: object) -> list[TokenBucket]:
        content = {"requests": RATE, "per": "1s", "burst": BURST} | changes
        limit = RateLimit.model_validate(content)
        clients.extend(Answers.from_url(redis_url) for _ in range(PROCESSES))
        said.clear()
        say = lambda reason, _: said.append(reason)  # noqa: E731
        return [TokenBucket(client, job, limit, say) for client in clients[-PROCESSES:]]

    return buckets


async def use(buckets: list[TokenBucket], seconds: float, waiting: int = 5) -> list[float]:
    """Keep several requests waiting at each bucket; return when each was let through."""
    times: list[float] = []

    async def one(bucket: TokenBucket) -> None:
        while True:
            await bucket.acquire()
            times.append(time.monotonic())

    tasks = [asyncio.create_task(one(bucket)) for bucket in buckets for _ in range(waiting)]
    await asyncio.sleep(seconds)
    await cancel(tasks)
    return times


def busiest(times: list[float], seconds: float) -> int:
    """The most that fell into any window of so many seconds."""
    first, most = 0, 0
    for last, at in enumerate(times):
        while times[first] < at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def allowed(seconds: float) -> float:
    """What may start in any window: what the bucket holds and gets, and what may be late."""
    return TERMS.capacity + RATE * (seconds + LATE) * JITTER + 1


@pytest.mark.parametrize("window", [0.1, 0.5, 1.0, 2.0])
async def test_no_window_holds_more_than_the_limit_and_the_burst(make: Make, window: float) -> None:
    times = await use(make(), 3 + window)
    assert busiest(times, window) <= allowed(window)
    assert len(times) > RATE, "and it is used at all"


@pytest.mark.parametrize("late", [0.0, 0.2])
async def test_a_pause_leaves_no_more_than_the_burst(
    make: Make, clients: list[Answers], late: float
) -> None:
    """Also where processes hear late what they were granted."""
    buckets = make()
    await use(buckets, 0.5)
    await asyncio.sleep(1.5)
    for client in clients:
        client.late = late
    times = await use(buckets, 1.0, waiting=20)
    assert busiest(times, 0.2) <= allowed(0.2)


async def test_what_lasts_counts_in_the_burst(make: Make) -> None:
    """Who uses little has tokens in hand; then all of them are used at once, as fast as may be."""
    buckets = make(burst=100)
    terms = Terms.of(RateLimit(requests=RATE, burst=100))
    for _ in range(20):
        await asyncio.gather(*(bucket.acquire() for bucket in buckets[:2]))
        await asyncio.sleep(0.03)
    times = await use(buckets, 0.5)
    assert busiest(times, 0.1) <= terms.capacity + RATE * (0.1 + terms.late) * JITTER + 1


async def test_a_429_lowers_the_rate_of_all_and_it_grows_back(make: Make) -> None:
    buckets = make(adaptive={"floor": 10, "recovery": "10s"})
    await use(buckets, 0.5)
    for bucket in buckets:  # all get one in the same second: it counts once
        await bucket.slow_down(rest=0, lower=True)
    lowered = len(await use(buckets, 1.0))
    assert lowered <= (0.8 * RATE + BURST) * JITTER
    assert lowered > 0.5 * RATE, "the others of that second lowered it no further"
    for _ in range(5):
        await asyncio.sleep(1.1)
        await buckets[0].slow_down(rest=0, lower=True)
    assert len(await use(buckets, 0.5)) < 0.5 * RATE * 0.7


async def test_a_rest_holds_for_all(make: Make) -> None:
    buckets = make()
    await use(buckets, 0.3)
    await buckets[0].slow_down(rest=1.0, lower=False)
    leased = AHEAD * RATE + PROCESSES
    assert len(await use(buckets, 0.9)) <= leased, "only what was leased before"
    times = await use(buckets, 1.0)
    assert len(times) > 0.5 * RATE
    assert busiest(times, 0.1) <= RATE * (0.1 + LATE) + 1, "it ends without a burst"


async def test_a_bucket_that_lost_its_state_begins_empty_and_as_slow_as_it_was(
    make: Make, redis_url: str, job: JobName
) -> None:
    buckets = make(adaptive={"floor": 10, "recovery": "60s"})
    await use(buckets, 0.3)
    for _ in range(3):
        await buckets[0].slow_down(rest=0, lower=True)
        await asyncio.sleep(1.1)
    before = len(await use(buckets, 1.0))
    client = Redis.from_url(redis_url)
    await client.delete(job.redis_key("bucket"))
    await client.aclose()
    after = await use(buckets, 1.0)
    assert said == ["RateLimitForgotten"]
    assert len(after) <= before * 1.1 + BURST
    assert busiest(after, 0.1) <= RATE * 0.5 * (0.1 + LATE) + 1


async def test_jobs_that_share_and_differ_keep_the_lowest_rate_and_are_told(
    make: Make, job: JobName
) -> None:
    high = make(shared=job.name)[:4]
    low = make(shared=job.name, requests=RATE // 10)[:4]
    await use(low, 0.5)
    times = await asyncio.gather(use(high, 4), use(low, 4))
    assert set(said) == {"RateLimitDiffers"}
    assert min(map(len, times)) > sum(map(len, times)) / 5, "neither starves the other"
    both = sorted(at for each in times for at in each)
    assert busiest(both, 2.0) <= (RATE // 10 * 2 + BURST) * JITTER + PROCESSES


async def test_without_redis_nothing_starts_and_the_message_says_so(job: JobName) -> None:
    client = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    limit = RateLimit.model_validate({"requests": 1, "per": "1s"})
    with pytest.raises(DependencyError, match="nothing is sent without it"):
        await TokenBucket(client, job, limit, lambda *_: None).acquire()
    await client.aclose()
