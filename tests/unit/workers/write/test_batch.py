"""When a batch is due, and which of its rows count."""

from hypothesis import given
from hypothesis import strategies as st

from messages import Received
from sluice_workers.write.batch import Batch, Batcher, Limits, Trigger, newest

LIMITS = Limits(min_size=3, max_bytes=100, timeout=2.0)


def read(offset: int, now: float, size: int = 1, partition: int = 0) -> Batch:
    message = Received(partition=partition, offset=offset)
    return Batch([message], [(offset, 1)], [], {partition: offset + 1}, size, now)


def test_a_batch_is_due_at_its_minimum_size_and_grows_meanwhile() -> None:
    batcher = Batcher(LIMITS, 5)
    for offset in range(2):
        batcher.add(read(offset, 10.0))
    assert batcher.due(10.0) is None
    batcher.add(read(2, 10.0))
    assert batcher.due(10.0) is Trigger.SIZE
    assert batcher.room() == 2


def test_a_small_batch_is_due_when_its_first_record_has_waited() -> None:
    batcher = Batcher(LIMITS, 5)
    assert batcher.wait(10.0) is None
    batcher.add(read(0, 10.0))
    batcher.add(read(1, 11.9))
    assert batcher.due(11.99) is None
    assert batcher.wait(11.0) == 1.0
    assert batcher.due(12.0) is Trigger.TIMEOUT
    assert batcher.age(12.0) == 2.0


def test_a_heavy_batch_is_due_at_once_and_has_no_room() -> None:
    batcher = Batcher(LIMITS, 5)
    batcher.add(read(0, 10.0, size=100))
    assert batcher.due(10.0) is Trigger.BYTES
    assert batcher.room() == 0


def test_no_more_is_read_than_the_bytes_leave_room_for() -> None:
    batcher = Batcher(LIMITS, 50)
    batcher.add(read(0, 10.0, size=40))
    assert batcher.room() == 2


def test_little_is_read_until_it_is_known_how_long_records_are() -> None:
    batcher = Batcher(Limits(min_size=3, max_bytes=1000, timeout=2.0), 50)
    assert batcher.room() == 16
    batcher.add(read(0, 10.0, size=500))
    batcher.take()
    assert batcher.room() == 3


def test_what_is_taken_leaves_an_empty_batch() -> None:
    batcher = Batcher(LIMITS, 5)
    batcher.add(read(0, 10.0, size=100))
    batcher.add(read(4, 10.0, partition=1))
    taken = batcher.take()
    assert [message.offset for message in taken.messages] == [0, 4]
    assert (taken.rows, taken.ends, taken.bytes) == ([(0, 1), (4, 1)], {0: 1, 1: 5}, 101)
    assert len(batcher) == 0
    assert batcher.due(100.0) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.text(max_size=2))))
def test_of_several_with_one_key_the_newest_counts(rows: list[tuple[int, str, int]]) -> None:
    given_rows = [(key, text, version) for key, version, text in rows]
    expected: dict[int, tuple[int, str, int]] = {}
    for row in given_rows:
        if row[0] not in expected or row[2] >= expected[row[0]][2]:
            expected[row[0]] = row
    found = newest(given_rows, lambda row: row[0])
    assert {row[0]: row for row in found} == expected
    assert len(found) == len(expected)
