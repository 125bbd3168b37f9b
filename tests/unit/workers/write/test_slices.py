"""Which slices are merged next, and how far a partition is merged."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_api.sink import DurableBuffer
from sluice_workers.write.slices import HELP, OVERDUE, Slice, choose, full, merged

slices = st.lists(
    st.builds(
        Slice,
        generation=st.integers(1, 2),
        partition=st.integers(0, 5),
        first_offset=st.integers(0, 100),
        records=st.integers(1, 100),
        bytes=st.integers(0, 1000),
        age=st.floats(0, 20),
    ),
    max_size=8,
    unique_by=lambda each: (each.generation, each.partition),
)
owned = st.frozensets(st.integers(0, 5))


def slice_(partition: int, *, age: float = 0.0, records: int = 10, generation: int = 1) -> Slice:
    return Slice(generation, partition, 0, records, records * 10, age)


@given(slices, owned, st.integers(1, 200), st.integers(1, 2000))
def test_a_choice_is_of_one_generation_and_no_more_than_needed(
    found: list[Slice], mine: frozenset[int], records: int, size: int
) -> None:
    choice = choose(found, mine, records, size)
    if choice is None:
        assert not any(each.partition in mine or each.age >= HELP for each in found)
        return
    places = {(each.generation, each.partition): each for each in found}
    chosen = [places[choice.generation, partition] for partition in choice.partitions]
    assert len(set(choice.partitions)) == len(chosen) > 0
    assert len({each.partition in mine for each in chosen}) == 1
    assert sum(each.records for each in chosen[:-1]) < records
    assert sum(each.bytes for each in chosen[:-1]) < max(size, 1)


@given(slices, owned)
def test_nothing_waits_for_ever(found: list[Slice], mine: frozenset[int]) -> None:
    left = list(found)
    while choice := choose(left, mine, 1, 1):
        left = [
            each
            for each in left
            if (each.generation, each.partition) != (choice.generation, choice.partitions[0])
        ]
    assert all(each.partition not in mine and each.age < HELP for each in left)


def test_own_slices_go_first_and_the_oldest_of_them() -> None:
    found = [slice_(0, age=9), slice_(1, age=1), slice_(2, age=2)]
    choice = choose(found, {1, 2}, 15, 1000)
    assert choice is not None
    assert (choice.partitions, choice.wait) == ((2, 1), False)


def test_others_slices_are_taken_when_they_have_waited_and_never_waited_for() -> None:
    assert choose([slice_(0, age=HELP - 1)], {1}, 10, 10) is None
    choice = choose([slice_(0, age=HELP)], {1}, 10, 10)
    assert choice is not None
    assert not choice.wait


def test_the_lock_of_an_own_slice_is_waited_for_when_it_is_overdue() -> None:
    choice = choose([slice_(0, age=OVERDUE)], {0}, 10, 10)
    assert choice is not None
    assert choice.wait


def test_an_older_generation_goes_first() -> None:
    found = [slice_(0, age=1, generation=2), slice_(0, generation=1)]
    choice = choose(found, {0}, 100, 100)
    assert choice is not None
    assert choice.generation == 1


def test_a_partition_is_merged_up_to_what_is_buffered_of_it() -> None:
    found = [Slice(7, 0, 30, 5, 1, 0.0), Slice(6, 1, 2, 5, 1, 0.0)]
    assert merged(found, 7, {0: 35, 1: 40}) == {0: 30, 1: 40}
    # It was appended after the position was read.
    assert merged([Slice(7, 0, 35, 5, 1, 0.0)], 7, {0: 35}) == {0: 35}


def test_the_buffer_is_full_by_records_or_bytes() -> None:
    limits = DurableBuffer(max_records=1000, max_bytes=1 << 20)
    assert not full([slice_(0, records=999)], limits)
    assert full([slice_(0, records=500), slice_(1, records=500)], limits)
    assert full([Slice(1, 0, 0, 1, 1 << 20, 0.0)], limits)
