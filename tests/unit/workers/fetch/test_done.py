"""What is kept of a window for the next owner."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.done import decode, encode

BASES = st.integers(0, 2**33)


@given(BASES, st.frozensets(st.integers(0, 10_000)))
def test_what_was_done_is_known_again(base: int, ahead: frozenset[int]) -> None:
    done = {base + each for each in ahead}
    content = encode(base, done)
    assert decode(content, base) == done
    assert decode(content, base + 5) == done, "an older note is still true"
    assert len(content) <= 8 + 10_000 // 8 + 1


@given(BASES.filter(bool), st.frozensets(st.integers(0, 100)))
def test_a_group_that_was_moved_back_starts_anew(base: int, ahead: frozenset[int]) -> None:
    content = encode(base, {base + each for each in ahead})
    assert decode(content, base - 1) == frozenset()
