"""How the size of batches follows from what commits took."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.write.size import LOOKS, MEMORY, Sizing, ladder, observe, stretch

BOUNDS = st.tuples(st.integers(1, 1000), st.integers(0, 99_000)).map(lambda b: (b[0], sum(b)))


def settle(sizing: Sizing, fixed: float, least: int, batches: int) -> list[int]:
    """Sizes taken where a commit costs a fixed time, and each record more beyond a knee."""
    found = []
    for _ in range(batches):
        size = sizing.size
        cost = size * 1e-5 + max(0, size - least) * 1e-4
        sizing = observe(sizing, size, fixed + cost)
        found.append(sizing.size)
    return found


@given(BOUNDS)
def test_the_ladder_leads_from_one_bound_to_the_other(bounds: tuple[int, int]) -> None:
    rungs = ladder(*bounds).rungs
    assert (rungs[0], rungs[-1]) == bounds
    assert all(low < high <= 2 * low for low, high in pairwise(rungs))


@given(BOUNDS, st.lists(st.tuples(st.floats(0.1, 2), st.floats(1e-6, 100))))
def test_the_size_stays_within_its_bounds(
    bounds: tuple[int, int], batches: list[tuple[float, float]]
) -> None:
    sizing = ladder(*bounds)
    for share, seconds in batches:
        sizing = observe(sizing, max(1, int(sizing.size * share)), seconds)
        assert bounds[0] <= sizing.size <= bounds[1]


def test_larger_batches_win_where_a_commit_costs_the_same_for_all() -> None:
    assert settle(ladder(500, 5000), 0.05, 10**9, 8 * LOOKS)[-1] == 5000


def test_smaller_batches_win_where_large_ones_are_slow() -> None:
    sizes = settle(ladder(100, 100_000), 0.01, 400, 60 * LOOKS)
    assert set(sizes[-MEMORY:]) <= {200, 400, 800, 1600}
    assert max(sizes) <= 1600


def test_a_batch_that_was_not_full_says_nothing() -> None:
    sizing = ladder(500, 5000)
    assert observe(sizing, 499, 0.1) is sizing


def test_a_database_that_changes_is_found_out() -> None:
    sizing = ladder(100, 800)
    for _ in range(20 * LOOKS):
        sizing = observe(sizing, sizing.size, 0.1 + sizing.size * 1e-5)
    assert sizing.size == 800
    for _ in range(2 * MEMORY):
        sizing = observe(sizing, sizing.size, 1e-6 * sizing.size**2)
    assert sizing.size <= 200


def test_a_commit_waits_for_no_more_than_a_part_of_the_next_batch() -> None:
    assert [stretch(size) for size in (1, 500, 1000, 5000, 100_000)] == [50, 50, 100, 250, 250]
