"""How many writers a database has connections for."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.connections import EACH, SPARE, Limits, room


def test_the_tightest_limit_counts_and_is_named() -> None:
    found = room(Limits(100, 3, 40, -1, 5, -1, 20))
    assert found.replicas == (100 - 3 - 40 - SPARE) // EACH
    assert "max_connections is 100, 3 reserved, 40 used by others" in found.why
    found = room(Limits(100, 3, 40, 10, 1, -1, 20))
    assert found.replicas == (10 - 1 - SPARE) // EACH
    assert "its user's CONNECTION LIMIT is 10, 1 used by others" in found.why
    found = room(Limits(100, 3, 40, 10, 1, 24, 20))
    assert found.replicas == (24 - 20 - SPARE) // EACH
    assert "for 1 writers of 2 each: its CONNECTION LIMIT is 24, 20 used by others" in found.why


counts = st.integers(0, 200)
limits = st.integers(-1, 200)


@given(st.builds(Limits, counts, counts, counts, limits, counts, limits, counts))
def test_one_writer_is_always_tried(found: Limits) -> None:
    left = found.maximum - found.reserved - found.others
    ceiling = room(found)
    assert 1 <= ceiling.replicas <= max(1, left)
    assert f"for {ceiling.replicas} writers of {EACH} each:" in ceiling.why
