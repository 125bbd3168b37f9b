"""Which object is kept next, and what each holds."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.archive.assembly import Assembly, Limits, Trigger, held, next_due
from sluice_workers.archive.line import Record, decode_all

LIMITS = Limits(max_bytes=1000, timeout=60.0, held_bytes=1500)


def record(offset: int, size: int = 10, timestamp: int = 0) -> Record:
    return Record(0, offset, timestamp, b"k", (), b'"' + b"x" * size + b'"')


def filled(first: int, *records: Record, now: float = 0.0) -> Assembly:
    found = Assembly(first)
    for each in records:
        found.add(each, now)
    return found


def test_an_object_begins_where_the_one_before_it_ended() -> None:
    found = filled(5, record(7, timestamp=30), record(9, timestamp=10))
    assert (found.first, found.next, found.records) == (5, 10, 2)
    assert (found.earliest, found.latest) == (10, 30)


def test_bytes_time_and_quiet_make_it_complete() -> None:
    assert Assembly(0).due(LIMITS, 1e9) is None
    small = filled(0, record(0), now=100.0)
    assert small.due(LIMITS, 159.0) is None
    assert small.due(LIMITS, 160.0) is Trigger.TIMEOUT
    assert filled(0, record(0, 1000)).due(LIMITS, 0.0) is Trigger.BYTES
    ending = Limits(1000, 60.0, 1500, quiet=5.0)
    small.add(record(1), 104.0)
    assert small.due(ending, 108.0) is None
    assert small.due(ending, 109.0) is Trigger.QUIET


def test_where_memory_is_short_the_largest_goes_first() -> None:
    found = [filled(0, record(0, size)) for size in (400, 700, 300)]
    due = next_due(found, LIMITS, 0.0)
    assert due == (found[1], Trigger.MEMORY)
    assert next_due(found[::2], LIMITS, 0.0) is None


@given(st.lists(st.integers(0, 60), max_size=60), st.integers(0, 20))
def test_each_offset_is_held_once_and_in_order(offsets: list[int], first: int) -> None:
    """Reads may overlap after a seek: what is there already is passed over."""
    found = filled(first, *map(record, offsets))
    lines = [each.offset for each in decode_all(bytes(found.lines))]
    assert lines == sorted(set(lines))
    assert all(first <= offset < found.next for offset in lines)
    assert found.records == len(lines)
    assert held([found]) == len(found.lines)
