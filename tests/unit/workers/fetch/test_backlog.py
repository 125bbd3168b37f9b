"""The order in which items get a slot."""

from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.ledger import Ledger
from sluice_workers.fetch.partition import Partition, Work


def work(offset: int) -> Work:
    return Work(Item(0, offset, b"k", b"", "id", 1), Partition(Ledger(0)))


async def test_what_has_waited_goes_first_and_else_the_order_is_kept() -> None:
    backlog = Backlog()
    for offset in (1, 2):
        backlog.put(work(offset))
    for offset in (7, 8):
        backlog.put_first(work(offset))
    assert [(await backlog.get()).item.offset for _ in range(4)] == [7, 8, 1, 2]


async def test_items_of_a_partition_that_went_are_left_out() -> None:
    backlog = Backlog()
    works = [work(offset) for offset in range(6)]
    for each in works:
        backlog.put(each)
    for each in (works[0], works[2], works[3], works[5]):
        each.partition.lost = True
    assert await backlog.get() is works[1]
    assert backlog.get_nowait() is works[4]
    assert backlog.get_nowait() is None
    assert len(backlog) == 0
