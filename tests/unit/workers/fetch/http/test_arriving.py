"""Large items wait for each other, and never for ever."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.http.arriving import FREE, Arriving, Share

PAGES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=4)
"""Of each the parts that come one after the other, and whether it tells how many."""


async def cover(share: Share, size: int) -> float:
    async with asyncio.timeout(None) as limit:
        return await share.cover(size, limit)


class Reading:
    """Items that are read at once, and what each holds, in parts."""

    def __init__(self, most: int, seed: random.Random) -> None:
        self.budget = Arriving(most * FREE)
        self._most = most
        self._seed = seed
        self._held: dict[Share, int] = {}

    async def item(self, pages: list[tuple[int, bool]], end: str) -> None:
        with self.budget.share() as share:
            try:
                await self._pages(share, pages)
                if end == "breaks":
                    raise ConnectionError
            finally:
                self._held.pop(share, None)

    async def _pages(self, share: Share, pages: list[tuple[int, bool]]) -> None:
        kept = 0
        for parts, told in pages:
            for part in range(1, parts + 1):
                await cover(share, (parts if told else part) * FREE)
                self._hold(share, kept + part)
                for _ in range(self._seed.randrange(3)):
                    await asyncio.sleep(0)
            kept += parts
            await share.keep(kept * FREE)
            self._hold(share, kept)

    def _hold(self, share: Share, parts: int) -> None:
        self._held[share] = parts if parts > 1 else 0
        held = self._held.values()
        assert sum(held) <= self._most + max(held), "one alone goes beyond"
        assert self.budget.left <= (self._most - sum(held)) * FREE


@given(
    items=st.lists(st.tuples(PAGES, st.sampled_from(["ends", "breaks", "is called off"]))),
    most=st.integers(0, 20),
    seed=st.randoms(use_true_random=False),
)
def test_the_budget_holds_but_for_one_and_all_come_to_their_end(
    items: list[tuple[list[tuple[int, bool]], str]], most: int, seed: random.Random
) -> None:
    async def run() -> None:
        reading = Reading(most, seed)
        tasks = [asyncio.create_task(reading.item(*item)) for item in items]
        for task, (_, end) in zip(tasks, items, strict=True):
            if end == "is called off":
                asyncio.get_running_loop().call_later(seed.random() / 1000, task.cancel)
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            assert isinstance(outcome, ConnectionError | asyncio.CancelledError | None), outcome
        assert reading.budget.left == most * FREE

    asyncio.run(run())


async def test_two_that_are_half_read_do_not_wait_for_each_other() -> None:
    budget = Arriving(4 * FREE)
    with budget.share() as first, budget.share() as second:
        await cover(first, 2 * FREE)
        await cover(second, 2 * FREE)
        younger = asyncio.create_task(cover(second, 3 * FREE))
        await asyncio.sleep(0)
        assert younger.done(), "nobody else wants more"
        elder = asyncio.create_task(cover(first, 3 * FREE))
        await cover(second, 9 * FREE)
        assert not elder.done(), "one alone goes beyond"
        second.drop()
        await asyncio.wait_for(elder, 1)


async def test_the_eldest_is_served_first() -> None:
    budget, served = Arriving(2 * FREE), list[int]()

    async def read(number: int, share: Share) -> None:
        await cover(share, 2 * FREE)
        served.append(number)
        await asyncio.sleep(0)
        share.drop()

    with budget.share() as first, budget.share() as second, budget.share() as third:
        with budget.share() as beyond:
            await cover(beyond, 5 * FREE)
            shares = {3: third, 2: second, 1: first}
            tasks = [asyncio.create_task(read(*each)) for each in shares.items()]
            await asyncio.sleep(0)
            assert served == []
        await asyncio.gather(*tasks)
    assert served[0] == 1


async def test_what_is_small_takes_nothing_though_it_comes_in_pages() -> None:
    budget = Arriving(FREE)
    with budget.share() as share:
        for page in range(1, 4):
            assert not share.lacks(FREE // 4)
            await share.keep(page * FREE // 4)
        assert budget.left == FREE
        assert share.lacks(FREE // 2)
        await share.keep(FREE + 1)
        assert budget.left == -1


async def test_one_that_was_given_its_part_and_is_called_off_gives_it_back() -> None:
    budget = Arriving(2 * FREE)
    with budget.share() as first, budget.share() as beyond, budget.share() as third:
        await cover(first, 2 * FREE)
        await cover(beyond, 2 * FREE)
        waiting = asyncio.create_task(cover(third, 2 * FREE))
        await asyncio.sleep(0)
        first.drop()
        beyond.drop()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert budget.left == 2 * FREE


async def test_the_wait_counts_for_no_time_limit() -> None:
    budget = Arriving(2 * FREE)
    with budget.share() as first, budget.share() as beyond, budget.share() as share:
        await cover(first, 2 * FREE)
        await cover(beyond, 2 * FREE)
        asyncio.get_running_loop().call_later(0.3, first.drop)
        asyncio.get_running_loop().call_later(0.3, beyond.drop)
        async with asyncio.timeout(0.1) as limit:
            assert await share.cover(2 * FREE, limit) >= 0.25
            begin = asyncio.get_running_loop().time()
            assert begin < (limit.when() or 0) <= begin + 0.1, "but what comes after it does"
