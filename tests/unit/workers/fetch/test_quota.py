"""What APIs say of their quota."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from sluice_workers.fetch.quota import LONGEST, exhausted_for

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "10"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "10"}, 10),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 25)}, 25),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW * 1000) + 1500)}, 1.5),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) - 25)}, 0),
        ({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "2.5"}, 2.5),
        ({"X-RateLimit-Remaining": "0"}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": '"default";r=50;t=30'}, None),
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, None),
        ({"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "soon"}, None),
    ],
)
def test_an_exhausted_quota_is_waited_for(headers: dict[str, str], wait: float | None) -> None:
    found = exhausted_for(CIMultiDict(headers), NOW)
    assert found == (pytest.approx(wait, abs=1e-3) if wait is not None else None)


@given(st.dictionaries(st.sampled_from(["ratelimit", "x-ratelimit-remaining"]), st.text()))
def test_whatever_is_said_the_wait_is_bounded(headers: dict[str, str]) -> None:
    headers["x-ratelimit-reset"] = "99999999999999999999"
    found = exhausted_for(CIMultiDict(headers), NOW)
    assert found is None or 0 <= found <= LONGEST
