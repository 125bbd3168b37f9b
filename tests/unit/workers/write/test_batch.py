"""When a batch is due, and which of its rows count."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.write.batch import (
    Batcher,
    Entry,
    Limits,
    Rejected,
    Trigger,
    newest_rows,
    ranges,
)
from sluice_workers.write.row import Parsed

LIMITS = Limits(min_size=3, max_size=5, max_bytes=100, timeout=2.0)


def entry(offset: int, key: int = 0, version: int = 1, partition: int = 0, size: int = 1) -> Entry:
    parsed = Parsed((key, version), (key,), (version, 0), str(key), f"i{offset}")
    return Entry(partition, offset, size, parsed)


def test_a_batch_is_due_at_its_minimum_size() -> None:
    batcher = Batcher(LIMITS)
    for offset in range(2):
        batcher.add(entry(offset), 10.0)
    assert batcher.due(10.0) is None
    batcher.add(entry(2), 10.0)
    assert batcher.due(10.0) is Trigger.SIZE
    assert batcher.room == 2


def test_a_small_batch_is_due_when_its_first_record_has_waited() -> None:
    batcher = Batcher(LIMITS)
    assert batcher.wait(10.0) is None
    batcher.add(entry(0), 10.0)
    batcher.add(entry(1), 11.9)
    assert batcher.due(11.99) is None
    assert batcher.wait(11.0) == 1.0
    assert batcher.due(12.0) is Trigger.TIMEOUT


def test_a_heavy_batch_is_due_at_once() -> None:
    batcher = Batcher(LIMITS)
    batcher.add(entry(0, size=100), 10.0)
    assert batcher.due(10.0) is Trigger.BYTES


def test_what_is_taken_leaves_an_empty_batch() -> None:
    batcher = Batcher(LIMITS)
    batcher.add(entry(0, size=100), 10.0)
    assert [taken.offset for taken in batcher.take()] == [0]
    assert len(batcher) == 0
    assert batcher.due(100.0) is None


def test_offsets_pass_rejected_records_too() -> None:
    rejected = Entry(1, 8, 1, Rejected("k", "i", "why", "{}"))
    assert ranges([entry(4), entry(5), rejected]) == {0: 6, 1: 9}
    assert newest_rows([rejected]) == []


entries = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)))


@given(entries)
def test_of_several_with_one_key_the_newest_counts(found: list[tuple[int, int]]) -> None:
    rows = newest_rows([entry(number, key, v) for number, (key, v) in enumerate(found)])
    newest: dict[int, int] = {}
    for key, version in found:
        newest[key] = max(version, newest.get(key, 0))
    assert dict(rows) == newest
    assert len(rows) == len(newest)
