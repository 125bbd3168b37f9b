"""The order in which items get a slot, and the order of one key's items."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.lanes import Lanes
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


@given(st.lists(st.sampled_from([b"a", b"b", b"c"])))
def test_each_key_is_worked_on_one_at_a_time_in_order(keys: list[bytes]) -> None:
    lanes: Lanes[int] = Lanes()
    running = {}
    done: dict[bytes, list[int]] = {}
    for number, key in enumerate(keys):
        if lanes.enter(key, number):
            assert key not in running
            running[key] = number
    while running:
        key, number = running.popitem()
        done.setdefault(key, []).append(number)
        following = lanes.leave(key)
        if following is not None:
            running[key] = following
    assert done == {key: [n for n, k in enumerate(keys) if k == key] for key in set(keys)}
    assert lanes.waiting == 0
