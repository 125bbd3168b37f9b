"""Items whose origin is down wait aside, and come back when it is not."""

import asyncio

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.ledger import Ledger
from sluice_workers.fetch.partition import Partition, Work
from sluice_workers.fetch.paused import Paused

SETTINGS = CircuitBreaker.model_validate(
    {"failures": 1, "pause": {"initial": "50ms", "max": "50ms"}}
)
A, B = "https://a.example", "https://b.example"


def made() -> tuple[Breakers, Backlog, Paused]:
    breakers, backlog = Breakers(SETTINGS), Backlog()
    return breakers, backlog, Paused(breakers, backlog)


def works(count: int) -> list[Work]:
    partition = Partition(Ledger(0))
    items = [Item(0, offset, b"k", b"", str(offset), offset) for offset in range(count)]
    return [Work(item, partition) for item in items]


async def test_one_item_tries_each_pause_and_an_answer_frees_all_of_its_origin_alone() -> None:
    breakers, backlog, paused = made()
    for origin in (A, B):
        breakers.failed(origin, 0, "down")
    first, second, third, other = works(4)
    for work in (first, second, third):
        paused.hold(A, work)
    paused.hold(B, other)
    assert len(backlog) == 0
    found = {(await backlog.get()).item.offset, (await backlog.get()).item.offset}
    assert found == {first.item.offset, other.item.offset}, "one of each"
    assert len(paused) == 2
    paused.answered(A)
    assert [backlog.get_nowait(), backlog.get_nowait()] == [second, third]
    assert len(paused) == 0


async def test_items_of_a_partition_that_went_are_let_go() -> None:
    breakers, backlog, paused = made()
    breakers.failed(A, 0, "down")
    for work in works(3):
        work.partition.lost = True
        paused.hold(A, work)
    await asyncio.sleep(0.1)
    assert (len(paused), len(backlog)) == (0, 0)


async def test_items_of_an_origin_that_is_not_down_any_more_come_back() -> None:
    breakers, backlog, paused = made()
    breakers.failed(A, 0, "down")
    (work,) = works(1)
    paused.hold(A, work)
    breakers.answered(A)  # as when it is forgotten: nobody tells those that wait
    async with asyncio.timeout(1):
        assert await backlog.get() is work
