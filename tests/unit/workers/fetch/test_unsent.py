"""What waits for the broker is bounded."""

import asyncio

import pytest

from sluice_workers.fetch.unsent import Unsent


async def test_who_would_fetch_more_waits_until_there_is_room() -> None:
    unsent = Unsent(10)
    await unsent.room()
    with unsent.holding(4):
        with unsent.holding(6):
            waiting = asyncio.create_task(unsent.room())
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 1)


async def test_what_was_given_up_waiting_counts_no_more() -> None:
    unsent = Unsent(10)
    with pytest.raises(asyncio.CancelledError), unsent.holding(50):
        raise asyncio.CancelledError
    await asyncio.wait_for(unsent.room(), 1)
