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
        ({"RateLimit": '"hour";r=9;t=50, "day";r=0;t=400'}, 400),
        ({"RateLimit": '"a,b;r=1";r=0;t=3;pk=:cHJv:, "c";r=8;t=9'}, 3),
        ({"RateLimit": '"day";r=0', "RateLimit-Policy": '"hour";q=5;w=60, "day";q=9;w=600'}, 600),
        ({"RateLimit": '"day";r=0', "RateLimit-Policy": '"hour";q=5;w=60'}, None),
        ({"RateLimit-Policy": '"day";q=9;w=600'}, None),
        ({"RateLimit": "limit=10,remaining=0,reset=50", "RateLimit-Policy": "10;w=1, 50;w=60"}, 50),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.8"}, 0.8),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2026-09-21T14:13:30Z"}, 10),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "Mon, 21 Sep 2026 14:13:30 GMT"}, 10),
        (
            {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int(NOW) + 100),
                "Date": "Mon, 21 Sep 2026 14:14:20 GMT",  # its clock is a minute ahead of ours
            },
            40,
        ),
        ({"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "soon"}, None),
    ],
)
def test_an_exhausted_quota_is_waited_for(headers: dict[str, str], wait: float | None) -> None:
    found = exhausted_for(CIMultiDict(headers), NOW)
    assert found == (pytest.approx(wait, abs=1e-3) if wait is not None else None)


NAMES = ["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "ratelimit-reset", "date"]
SAID = ["0", '"a";r=0', '"a";w=99999999999999999999', '"a";r=0;t=9', "9999-12-31T23:59:59Z"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text() | st.sampled_from(SAID)))
def test_whatever_is_said_the_wait_is_bounded(headers: dict[str, str]) -> None:
    headers["x-ratelimit-reset"] = "99999999999999999999"
    found = exhausted_for(CIMultiDict(headers), NOW)
    assert found is None or 0 <= found <= LONGEST
