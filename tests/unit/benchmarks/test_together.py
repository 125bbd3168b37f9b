"""When several pods wrote at once: neither their starts nor the end of whoever was last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_benchmarks.together import Look, steady

SHARES = ((0, 1), (2,))


def look(at: float, *offsets: int, epoch: int = 1) -> Look:
    return Look(at, (0.0, 0.0), dict(enumerate(offsets)), dict.fromkeys(range(3), epoch))


def test_counted_is_from_when_each_has_written_some_until_one_has_nothing_left() -> None:
    looks = [
        look(0, 10, 10, 10, epoch=0),  # one of them has all
        look(1, 20, 20, 10),
        look(2, 30, 20, 10),  # the second has not begun
        look(3, 40, 20, 20),
        look(4, 50, 30, 30),
        look(5, 60, 30, 40),  # the second is done
        look(6, 70, 40, 40),
    ]
    first, last = steady(looks, SHARES)
    assert (first.at, last.at) == (3, 4)
    assert last.rows - first.rows == 30


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_each_pod_writes_before_during_and_after(steps: list[tuple[int, int, int]]) -> None:
    offsets, looks = (0, 0, 0), [look(0, 0, 0, 0)]
    for at, step in enumerate(steps, 1):
        offsets = (offsets[0] + step[0], offsets[1] + step[1], offsets[2] + step[2])
        looks.append(look(at, *offsets))
    try:
        first, last = steady(looks, SHARES)
    except RuntimeError:
        return
    assert first.at < last.at
    for share in SHARES:
        done = [
            sum(each.offsets[at] for at in share) for each in (looks[0], first, last, looks[-1])
        ]
        assert done[0] < done[1] <= done[2] < done[3]


@pytest.mark.parametrize(
    "looks",
    [
        [look(0, 0, 0, 0), look(1, 9, 9, 0), look(2, 9, 9, 9)],
        [look(0, 0, 0, 0, epoch=0), look(1, 5, 5, 5, epoch=0), look(2, 9, 9, 9)],
    ],
    ids=["one after the other", "partitions moved until the end"],
)
def test_pods_that_never_wrote_at_once_say_nothing(looks: list[Look]) -> None:
    with pytest.raises(RuntimeError, match="more records"):
        steady(looks, SHARES)
