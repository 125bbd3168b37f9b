"""The progress of a run, decided by offsets."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sluice_api.status import RunStatus
from sluice_operator.observed import TopicOffsets
from sluice_operator.run import advance, begin, fraction, reached

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RUN = begin("0123456789abcdef", 1, NOW)


def offsets(ends: tuple[int, ...], *committed: int | None) -> TopicOffsets:
    return TopicOffsets(starts=(0,) * len(ends), ends=ends, committed=committed)


def step(
    run: RunStatus,
    items: TopicOffsets | None,
    records: TopicOffsets | None,
    *,
    seeded: bool = True,
    ends: bool = True,
) -> RunStatus:
    return advance(run, seeded=seeded, ends=ends, items=items, records=(records,), now=NOW)


def test_a_run_is_named_by_its_job_and_number() -> None:
    assert RUN.id == "01234567-1"


def test_nothing_happens_before_the_seed_is_done() -> None:
    assert step(RUN, offsets((5,), 5), offsets((5,), 5), seeded=False) == RUN


def test_the_items_end_is_read_once_the_seed_is_done() -> None:
    seeded = step(RUN, offsets((5, 7), None, 2), None)
    assert seeded.items_end == (5, 7)
    assert seeded.seeded_at == NOW
    assert seeded.completed_at is None


def test_the_records_end_is_read_after_the_items_are_drained() -> None:
    seeded = step(RUN, offsets((5, 7), None, 2), None)
    assert step(seeded, offsets((5, 7), 5, 6), offsets((9, 0), 9, None)) == seeded
    drained = step(seeded, offsets((5, 7), 5, 7), offsets((9, 3), 8, None))
    assert drained.records_end == (9, 3)
    assert drained.completed_at is None


def test_a_run_completes_when_the_records_are_drained() -> None:
    seeded = step(RUN, offsets((2,), 2), None)
    drained = step(seeded, offsets((2,), 2), offsets((4,), 3))
    assert step(drained, offsets((2,), 2), offsets((4,), 3)).completed_at is None
    assert step(drained, offsets((2,), 2), offsets((4,), 4)).completed_at == NOW


def test_a_run_of_no_items_completes() -> None:
    run = RUN
    for _ in range(3):
        run = step(run, offsets((0, 0), None, None), offsets((0, 0), None, None))
    assert run.completed_at == NOW


def test_a_continuous_job_never_completes() -> None:
    run = RUN
    for _ in range(4):
        run = step(run, offsets((1,), 1), offsets((1,), 1), ends=False)
    assert run.seeded_at == NOW
    assert run.completed_at is None


def test_an_unknown_reading_changes_nothing() -> None:
    seeded = step(RUN, offsets((1,), 1), None)
    assert step(seeded, None, None) == seeded
    assert step(RUN, None, None) == RUN


partitions = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6)


@given(partitions, partitions)
def test_a_run_is_complete_only_when_every_offset_says_so(
    items: list[tuple[int, int]], records: list[tuple[int, int]]
) -> None:
    of_items = offsets(tuple(e for e, _ in items), *(min(c, e) for e, c in items))
    of_records = offsets(tuple(e for e, _ in records), *(min(c, e) for e, c in records))
    run = RUN
    for _ in range(5):
        run = step(run, of_items, of_records)
    done = all(c >= e for e, c in items) and all(c >= e for e, c in records)
    assert (run.completed_at is not None) == done
    assert (fraction(run, of_items, (of_records,)) == 1.0) == done


@given(partitions)
def test_an_end_is_reached_partition_by_partition(found: list[tuple[int, int]]) -> None:
    ends = tuple(end for end, _ in found)
    at = tuple(committed for _, committed in found)
    assert reached(offsets(ends, *at), ends) == all(c >= e for e, c in found)


def test_a_run_waits_for_its_archive() -> None:
    done, behind = offsets((4,), 4), offsets((4,), 3)
    run = RUN
    for _ in range(4):
        run = advance(
            run, seeded=True, ends=True, items=offsets((2,), 2), records=(done, behind), now=NOW
        )
    assert run.records_end == (4,)
    assert run.completed_at is None
    assert fraction(run, offsets((2,), 2), (done, behind)) == 0.75
    for unknown in (None, done):
        run = advance(
            run, seeded=True, ends=True, items=offsets((2,), 2), records=(done, unknown), now=NOW
        )
        assert (run.completed_at is None) == (unknown is None)
