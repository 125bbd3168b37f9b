"""What may be committed, whatever the order in which items finish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sluice_workers.fetch.ledger import Ledger


class LedgerAgainstModel(RuleBasedStateMachine):
    """The ledger against the plainest model: all offsets taken, and the set of finished ones."""

    @initialize(start=st.integers(0, 100), done=st.frozensets(st.integers(0, 120)))
    def begin(self, start: int, done: frozenset[int]) -> None:
        self.start = start
        self.done = done
        self.ledger = Ledger(start, committed=start, done=done, max_items=20)
        self.taken: dict[int, int] = {}
        self.finished: set[int] = set()

    @rule(gap=st.integers(0, 3), size=st.integers(0, 30))
    def take(self, gap: int, size: int) -> None:
        offset = self.ledger.position + gap
        to_do = self.ledger.take(offset, size)
        assert to_do == (offset not in self.done)
        self.taken[offset] = size if to_do else 0
        if not to_do:
            self.finished.add(offset)

    @precondition(lambda self: len(self.taken) > len(self.finished))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.taken.keys() - self.finished)))
        self.ledger.finish(offset)
        self.finished.add(offset)

    @rule()
    def commit(self) -> None:
        pending = self.ledger.pending
        if pending is not None:
            assert pending >= (self.ledger.committed or 0), "a commit never goes back"
            self.ledger.note_commit(pending)
        assert self.ledger.pending is None

    @invariant()
    def nothing_unfinished_is_committable(self) -> None:
        unfinished = self.taken.keys() - self.finished
        after_last = max(self.taken, default=self.start - 1) + 1
        assert self.ledger.committable == min(unfinished, default=after_last)

    @rule()
    def what_is_kept_is_done_and_beyond_the_commit(self) -> None:
        ahead = self.ledger.take_ahead()
        assert not self.ledger.changed
        assert ahead == sorted(set(ahead))
        # Offsets between two that were taken hold no message: whether they are kept is all one.
        unread = {offset for offset in self.done if offset >= self.ledger.position}
        committed = self.ledger.committed or 0
        kept = {o for o in self.finished if o >= committed} | unread
        assert kept <= set(ahead) <= kept | set(range(committed, self.ledger.committable))

    @invariant()
    def the_window_is_what_lies_behind(self) -> None:
        window = [offset for offset in self.taken if offset >= self.ledger.committable]
        assert self.ledger.span == len(window)
        assert self.ledger.full == (len(window) >= 20)
        unfinished = self.taken.keys() - self.finished
        assert self.ledger.bytes == sum(self.taken[offset] for offset in unfinished)


TestLedger = LedgerAgainstModel.TestCase


@given(st.permutations(range(5, 25)))
def test_all_is_committable_once_all_is_finished(order: list[int]) -> None:
    ledger = Ledger(5)
    for offset in range(5, 25):
        ledger.take(offset, 1)
    for offset in order:
        assert ledger.committable <= offset
        ledger.finish(offset)
    assert ledger.committable == 25
    assert ledger.span == 0


def test_an_offset_is_taken_once_and_in_order() -> None:
    ledger = Ledger(5)
    ledger.take(7, 1)
    for offset in (5, 7):
        with pytest.raises(ValueError, match="taken already"):
            ledger.take(offset, 1)


@pytest.mark.parametrize("offset", [4, 6, 8, 9])
def test_only_what_is_worked_on_can_finish(offset: int) -> None:
    ledger = Ledger(5)
    for taken in (5, 7, 8):
        ledger.take(taken, 1)
    ledger.finish(8)
    with pytest.raises(ValueError, match="not being worked on"):
        ledger.finish(offset)


def test_notes_count_from_what_the_group_holds() -> None:
    ledger = Ledger(10**9)
    ledger.take(10**9, 1)
    ledger.take(10**9 + 1, 1)
    ledger.finish(10**9 + 1)
    assert ledger.base is None, "counted from 0 they would be as long as the topic ever was"
    ledger.note_commit(10**9)
    assert (ledger.base, ledger.take_ahead()) == (10**9, [10**9 + 1])


def test_notes_count_from_the_first_offset_before_anything_can_be_committed() -> None:
    ledger = Ledger(0)
    ledger.take(0, 1)
    ledger.take(1, 1)
    ledger.finish(1)
    assert (ledger.pending, ledger.base, ledger.take_ahead()) == (None, 0, [1])


def test_what_could_not_be_kept_is_kept_later() -> None:
    ledger = Ledger(5)
    ledger.take(5, 1)
    ledger.take(6, 1)
    ledger.finish(6)
    ledger.take_ahead()
    ledger.not_kept()
    assert ledger.changed


def test_a_start_after_the_first_offset_is_committed_even_without_work() -> None:
    assert Ledger(500).pending == 500
    assert Ledger(0).pending is None
