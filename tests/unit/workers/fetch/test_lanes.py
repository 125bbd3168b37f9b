"""Items of one key start one after the other, items of different keys do not wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.lanes import Lanes

keys = st.sampled_from([b"a", b"b", b"c"])


@given(st.lists(keys, max_size=30), st.randoms(use_true_random=False))
def test_each_key_keeps_its_order_and_nothing_is_lost(found: list[bytes], random: object) -> None:
    lanes: Lanes[tuple[bytes, int]] = Lanes()
    running = [(key, index) for index, key in enumerate(found) if lanes.enter(key, (key, index))]
    done: list[tuple[bytes, int]] = []
    while running:
        assert len({key for key, _ in running}) == len(running), "one of a key at a time"
        item = running.pop(random.randrange(len(running)))  # type: ignore[attr-defined]
        done.append(item)
        following = lanes.leave(item[0])
        if following is not None:
            running.append(following)
    assert sorted(index for _, index in done) == list(range(len(found)))
    for key in set(found):
        of_key = [index for found_key, index in done if found_key == key]
        assert of_key == sorted(of_key)
    assert lanes.waiting == 0


def test_a_key_that_is_not_worked_on_cannot_leave() -> None:
    lanes: Lanes[int] = Lanes()
    with pytest.raises(KeyError):
        lanes.leave(b"a")
