"""What is kept of an item's pages between two attempts."""

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from sluice_workers.fetch.http.pagination import Walk
from sluice_workers.fetch.http.progress import ENTRY, Parked, Progress
from sluice_workers.fetch.http.request import Request

MOST = 10 * ENTRY


def progress(size: int) -> Progress:
    return Progress(Request("GET", "http://api/", CIMultiDict()), Walk("http://api/"), size=size)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, MOST), st.booleans())))
def test_it_is_bounded_and_given_once(steps: list[tuple[int, int, bool]]) -> None:
    parked, kept = Parked(MOST), dict[int, int]()
    for offset, size, put in steps:
        if put:
            parked.put((0, offset), progress(size))
            kept.pop(offset, None)
            kept[offset] = size
            while sum(kept.values()) + ENTRY * len(kept) > MOST:
                del kept[next(iter(kept))]
        else:
            found = parked.take((0, offset))
            assert (found.size if found else None) == kept.pop(offset, None)
            assert found is None or found.resumed
