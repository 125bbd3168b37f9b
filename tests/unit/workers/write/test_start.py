"""Where the writing of a partition starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.write.start import Extent, Gap, Start, start

WHOLE = Extent(0, 100)


def test_a_partition_goes_on_where_the_database_says() -> None:
    assert start("t/0", 7, WHOLE, None) == Start(7)
    assert start("t/0", 100, WHOLE, 3) == Start(100)


def test_a_new_partition_starts_at_its_first_record() -> None:
    assert start("t/0", None, WHOLE, None) == Start(0)
    assert start("t/0", None, WHOLE, 0) == Start(0)


@pytest.mark.parametrize(
    ("known", "extent", "group", "reason"),
    [
        (7, Extent(8, 100), 7, "OffsetOutOfRange"),
        (101, WHOLE, 101, "OffsetAheadOfTopic"),
        (None, Extent(8, 100), 50, "OffsetsLost"),
        (None, Extent(8, 100), None, "OffsetsLost"),
    ],
)
def test_a_gap_is_told_and_never_passed_over(
    known: int | None, extent: Extent, group: int | None, reason: str
) -> None:
    found = start("t/0", known, extent, group)
    assert isinstance(found, Gap)
    assert found.reason == reason
    assert "t/0" in found.message


def test_offsets_that_the_database_lost_are_told_and_all_is_written_again() -> None:
    found = start("t/0", None, WHOLE, 50)
    assert isinstance(found, Start)
    assert found.offset == 0
    assert "50" in (found.note or "")


offsets = st.integers(0, 50)


@given(st.none() | offsets, offsets, offsets, st.none() | offsets)
def test_no_record_is_passed_over(
    known: int | None, first: int, more: int, group: int | None
) -> None:
    found = start("t/0", known, Extent(first, first + more), group)
    if isinstance(found, Start):
        assert found.offset == (known or 0)
        assert first <= found.offset <= first + more
