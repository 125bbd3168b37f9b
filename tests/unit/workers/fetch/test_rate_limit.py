"""How a limit is divided into a bucket's terms."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sluice_api.duration import Duration
from sluice_api.source import RateLimit
from sluice_workers.fetch.rate_limit import JITTER, LATEST, Terms

LIMITS = st.builds(
    lambda requests, milliseconds, burst: RateLimit(
        requests=requests, per=Duration(f"{milliseconds}ms"), burst=burst
    ),
    st.integers(1, 10_000_000),
    st.integers(1, 86_400_000),
    st.integers(1, 1_000_000),
)


@given(LIMITS, st.floats(1, 1000))
def test_a_window_of_a_period_or_more_holds_the_limit_and_the_burst(
    limit: RateLimit, periods: float
) -> None:
    terms = Terms.of(limit)
    window = periods * limit.per.seconds
    used = terms.capacity + terms.rate * (window + terms.late)
    allowed = limit.requests * (periods + JITTER) + limit.burst
    assert used <= allowed or math.isclose(used, allowed)


@given(LIMITS)
def test_a_bucket_can_give_a_token_and_a_late_one_lapses_soon(limit: RateLimit) -> None:
    terms = Terms.of(limit)
    assert terms.capacity + terms.ahead >= 1
    assert terms.capacity >= limit.burst / 2
    assert 0 < terms.late <= LATEST + 1e-9
