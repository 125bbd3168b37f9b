"""How far topics are trimmed."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator import retention
from sluice_operator.observed import TopicOffsets
from sluice_workers import dead_topic, wire

OFFSET = st.integers(0, 50)
PARTITION = st.tuples(OFFSET, OFFSET, OFFSET | st.none(), OFFSET | st.none())


@given(st.lists(PARTITION, min_size=1, max_size=6))
def test_nothing_goes_that_is_young_or_that_a_reader_needs(found: list[tuple[int, ...]]) -> None:
    now, aged, one, other = (tuple(column) for column in zip(*found, strict=True))
    for number, start in enumerate(retention.starts(now, aged, [one, other])):
        assert start >= now[number]
        if start == now[number]:
            continue
        assert one[number] is not None
        assert other[number] is not None
        assert start == min(aged[number], one[number], other[number])


def test_without_a_reader_nothing_is_known() -> None:
    assert retention.starts((1, 2), (9, 9), []) == (1, 2)
    assert retention.starts((1, 2), (9, 9), [(5, None)]) == (5, 2)
    assert retention.moved((1, 2), (5, 2)) == {0: 5}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8), st.tuples(st.integers(3, 4), OFFSET, st.booleans())
    ),
    st.integers(1, 5),
)
def test_the_item_of_a_refused_record_stays(
    failed: dict[str, tuple[int, int, bool]], partitions: int
) -> None:
    ranks = {
        key: dead_topic.failure_rank(wire.record_version(generation, offset), record=refused)
        for key, (generation, offset, refused) in failed.items()
    }
    ends = (40,) * partitions
    first = retention.refused_items(ranks, 4, ends)
    numbers, place = list(range(partitions)), DefaultPartitioner()
    expected = list(ends)
    for key, (generation, offset, refused) in failed.items():
        if generation == 4 and refused:
            number = place(key.encode(), numbers, numbers)
            expected[number] = min(expected[number], offset)
    assert first == tuple(expected)


STEP = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(STEP, min_size=1, max_size=20))
def test_an_item_goes_only_when_its_record_is_written(steps: list[tuple[int, int, int]]) -> None:
    """Each item becomes one record, which is in the topic before the item is committed."""
    produced = committed = written = 0
    checkpoint = None
    for more, commits, writes in steps:
        produced += more
        committed = min(produced, committed + commits)
        written = min(produced, written + writes)
        items = TopicOffsets((0,), (1000,), (committed,))
        records = TopicOffsets((0,), (produced,), (written,))
        bound, checkpoint = retention.settled(checkpoint, items, records)
        assert bound is None or (bound[0] or 0) <= written
    items, records = (TopicOffsets((0,), (each,), (each,)) for each in (1000, produced))
    bound, _ = retention.settled(checkpoint, items, records)
    assert bound == (1000,)


def test_ids_go_once_no_old_item_is_left() -> None:
    assert retention.aged([None, 3, 9], [7, 7, 7]) == (7, 3, 7)
    assert retention.forgettable((7, 3), (7, 3))
    assert retention.forgettable((7, 5), (7, 3))
    assert not retention.forgettable((7, 2), (7, 3))
