"""How many tries a search for refused rows takes."""

from math import log2

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.write.search import Pace

rows = st.lists(st.booleans(), min_size=1, max_size=300)
"""Of each row whether it is refused."""


def tries(refused: list[bool]) -> int:
    """Search as ``Search`` does, and return how often something was tried."""
    pace, at, count = Pace.after(len(refused)), 0, 0
    decided: list[bool] = []
    while at < len(refused):
        run = refused[at : at + pace.size]
        count += 1
        if not any(run) or len(run) == 1:
            decided += run
            at += len(run)
        pace = pace.refused(len(run)) if any(run) else pace.merged(len(run))
    assert decided == refused
    return count


@given(rows)
def test_every_row_is_decided_in_a_number_of_tries_that_grows_with_the_refused(
    refused: list[bool],
) -> None:
    steps = 2 * log2(len(refused)) + 4
    assert tries(refused) <= steps * (1 + sum(refused))


@given(st.integers(1, 20_000), st.data())
def test_one_row_is_found_in_a_logarithm_of_tries(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    refused = [number == place for number in range(count)]
    assert tries(refused) <= 2 * log2(count) + 4


@given(st.integers(1, 20_000))
def test_where_all_are_refused_each_is_tried_once(count: int) -> None:
    assert tries([True] * count) <= count + log2(count) + 1


def test_where_every_other_is_refused_a_row_costs_less_than_two_tries() -> None:
    assert tries([True, False] * 2500) <= 1.6 * 5000
