"""What is left of chunks when a part of them is merged."""

from hypothesis import given
from hypothesis import strategies as st

from messages import Received
from sluice_workers.write.buffer import Held, Taken
from sluice_workers.write.chunk import chunks, unpacked


def held(number: int, partition: int, first: int, count: int) -> Held:
    messages = [
        Received(f"{partition}/{first + at}".encode(), partition, first + at) for at in range(count)
    ]
    (chunk,) = chunks(messages)
    return Held(number, partition, first, first + count, chunk.records, chunk.size, chunk.body)


def values(taken: Taken) -> list[str]:
    return [
        (message.value or b"").decode()
        for chunk in taken.chunks
        for message in unpacked(chunk.partition, chunk.first_offset, chunk.body)
    ]


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.dictionaries(st.integers(0, 1), st.integers(0, 25)),
)
def test_what_is_below_the_ends_is_gone_and_the_rest_is_as_it_was(
    first: list[int], second: list[int], ends: dict[int, int]
) -> None:
    found = [
        held(10 * partition + at, partition, sum(counts[:at]), count)
        for partition, counts in enumerate((first, second))
        for at, count in enumerate(counts)
    ]
    taken = Taken(1, tuple(found), wait=False)
    left = taken.after(ends)
    assert values(left) == [
        value
        for value in values(taken)
        if int(value.split("/")[1]) >= ends.get(int(value.split("/")[0]), 0)
    ]
    assert {chunk.id for chunk in left.chunks} <= {chunk.id for chunk in taken.chunks}
    assert all(chunk.first_offset < chunk.next_offset for chunk in left.chunks)
