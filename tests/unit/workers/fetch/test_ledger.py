"""Which offsets may be committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.ledger import Ledger


def test_only_what_is_contiguous_may_be_committed() -> None:
    ledger = Ledger(10, committed=10)
    for offset in (10, 11, 12):
        ledger.take(offset, 5)
    ledger.finish(11)
    assert ledger.pending is None
    ledger.finish(10)
    assert ledger.pending == 12
    ledger.note_commit(12)
    assert ledger.pending is None
    ledger.finish(12)
    assert ledger.pending == 13


def test_the_window_is_bounded_in_items_and_in_bytes() -> None:
    ledger = Ledger(0, max_items=2)
    ledger.take(0, 1)
    assert not ledger.full
    ledger.take(1, 1)
    assert ledger.full
    ledger.finish(1)
    assert ledger.full, "it is the slow first item that holds the window"
    ledger.finish(0)
    assert not ledger.full
    heavy = Ledger(0, max_bytes=100)
    heavy.take(0, 100)
    assert heavy.full


def test_an_offset_is_taken_and_finished_once() -> None:
    ledger = Ledger(5)
    ledger.take(5, 1)
    with pytest.raises(ValueError, match="taken already"):
        ledger.take(5, 1)
    ledger.finish(5)
    with pytest.raises(ValueError, match="not being worked on"):
        ledger.finish(5)


@given(st.sets(st.integers(0, 60), min_size=1), st.randoms())
def test_no_unfinished_offset_is_ever_passed(taken: set[int], random: object) -> None:
    ledger = Ledger(0)
    for offset in sorted(taken):
        ledger.take(offset, 1)
    left = sorted(taken)
    random.shuffle(left)  # type: ignore[attr-defined]
    while left:
        ledger.finish(left.pop())
        assert ledger.committable == (min(left) if left else max(taken) + 1)
        assert ledger.span == sum(1 for offset in taken if offset >= ledger.committable)
