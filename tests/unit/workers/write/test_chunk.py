"""Chunks hold messages exactly, in the order of their partitions."""

from hypothesis import given
from hypothesis import strategies as st

from messages import Received
from sluice_workers.write import chunk
from sluice_workers.write.chunk import Buffered, chunks, unpacked

headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=4).map(tuple)
messages = st.builds(
    Received,
    value=st.none() | st.binary(max_size=60),
    key=st.none() | st.binary(max_size=9),
    headers=headers,
    timestamp=st.integers(-1, 1 << 62),
    partition=st.integers(0, 2),
)


def numbered(found: list[Received]) -> list[Received]:
    ends: dict[int, int] = {}
    for message in found:
        message.offset = ends.get(message.partition, 7)
        ends[message.partition] = message.offset + 1
    return found


def as_buffered(found: Received) -> Buffered:
    return Buffered(
        found.partition, found.offset, found.key, found.value, found.headers, found.timestamp
    )


@given(st.lists(messages, max_size=30).map(numbered))
def test_what_is_packed_is_unpacked_in_order(found: list[Received]) -> None:
    packed = chunks(found)
    back = [each for c in packed for each in unpacked(c.partition, c.first_offset, c.body)]
    assert back == sorted(map(as_buffered, found), key=lambda m: (m.partition, m.offset))
    assert sum(c.records for c in packed) == len(found)
    assert sum(c.size for c in packed) == sum(len(m.value or b"") for m in found)
    assert all(c.next_offset - c.first_offset == c.records for c in packed)


def test_chunks_are_closed_before_they_are_too_large_for_a_field() -> None:
    half = chunk.MAX_BYTES // 2
    found = [Received(bytes(size)) for size in (half, half, 1, 2 * half + 5, 3)]
    packed = chunks(numbered(found))
    assert [(each.first_offset, each.records) for each in packed] == [
        (7, 2),
        (9, 1),
        (10, 1),
        (11, 1),
    ]


def test_a_header_without_a_value_stays_one() -> None:
    found = Received(headers=(("a", None), ("b", b"")))  # type: ignore[arg-type]
    (packed,) = chunks([found])
    (back,) = unpacked(0, 0, packed.body)
    assert back.headers == (("a", None), ("b", b""))
