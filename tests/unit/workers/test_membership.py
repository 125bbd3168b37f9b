"""The lock that a rebalance holds."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.membership import RebalanceLock


async def test_nobody_is_let_in_from_the_revocation_to_the_assignment() -> None:
    lock = RebalanceLock()
    entered = asyncio.Event()

    async def commit() -> None:
        async with lock:
            entered.set()

    async with lock:
        revoking = asyncio.create_task(lock.revoked())
        await asyncio.sleep(0)
        assert not revoking.done(), "what is under way ends first"
    await revoking
    committing = asyncio.create_task(commit())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not entered.is_set()
    lock.assigned()
    await committing


@given(st.lists(st.sampled_from(["revoked", "assigned"]), max_size=12))
def test_it_is_free_after_an_assignment_whatever_came_before(calls: list[str]) -> None:
    async def run() -> None:
        lock = RebalanceLock()
        for call in calls:
            if call == "revoked":
                await lock.revoked()
            else:
                lock.assigned()
        lock.assigned()
        async with asyncio.timeout(1), lock:
            pass

    asyncio.run(run())
