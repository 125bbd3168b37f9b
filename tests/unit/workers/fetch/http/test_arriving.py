"""Large answers wait for each other, and never for ever."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.http.arriving import FREE, Arriving


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=12), st.integers(1, 20))
def test_the_budget_holds_and_everybody_gets_their_part(
    sizes: list[tuple[int, bool]], most: int
) -> None:
    async def run() -> None:
        budget, held = Arriving(most * FREE), 0

        async def read(size: int, *, given_up: bool) -> None:
            nonlocal held
            with budget.share() as share:
                async with asyncio.timeout(None) as limit:
                    await share.cover(size * FREE, limit)
                large = min(size, most) if size > 1 else 0
                held += large
                assert held <= most
                await asyncio.sleep(random.random() / 1000)
                share.keep(FREE)
                held -= large
                if given_up:
                    raise ConnectionError

        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(
                *(read(size, given_up=given_up) for size, given_up in sizes),
                return_exceptions=True,
            )
        failed = [each for each in outcomes if each is not None]
        assert all(isinstance(each, ConnectionError) for each in failed)
        assert len(failed) == sum(given_up for _, given_up in sizes)
        assert budget.left == most * FREE

    asyncio.run(run())


async def test_who_is_called_off_while_waiting_holds_nothing() -> None:
    budget = Arriving(2 * FREE)
    with budget.share() as first:
        async with asyncio.timeout(1) as limit:
            await first.cover(2 * FREE, limit)
        waiting = asyncio.create_task(budget.take(2 * FREE))
        behind = asyncio.create_task(budget.take(2 * FREE))
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.wait_for(behind, 1)
    assert budget.left == 0


async def test_one_that_was_given_its_part_and_is_called_off_gives_it_back() -> None:
    budget = Arriving(FREE)
    await budget.take(FREE)
    waiting = asyncio.create_task(budget.take(FREE))
    await asyncio.sleep(0)
    budget.give_back(FREE)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.left == FREE


async def test_the_wait_counts_for_no_time_limit() -> None:
    budget = Arriving(2 * FREE)
    await budget.take(2 * FREE)
    asyncio.get_running_loop().call_later(0.3, budget.give_back, 2 * FREE)
    with budget.share() as share:
        async with asyncio.timeout(0.1) as limit:
            assert await share.cover(2 * FREE, limit) >= 0.25
            begin = asyncio.get_running_loop().time()
            assert begin < (limit.when() or 0) <= begin + 0.1, "but what comes after it does"
