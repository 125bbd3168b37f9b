"""Whether and when a failed item is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.duration import Duration
from sluice_api.source import Backoff, Retry
from sluice_workers.fetch.outcome import Again, Failure, GivenUp
from sluice_workers.fetch.retry import ANOTHER_WAY, INNOCENT, decide, parse_retry_after
from sluice_workers.wire import FailureReason

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMEOUT = Failure(FailureReason.TIMEOUT, "no answer within 10s")

retries = st.builds(
    lambda attempts, initial, longest, deadline: Retry(
        attempts=attempts,
        backoff=Backoff(initial=Duration(f"{initial}ms"), max=Duration(f"{longest}ms")),
        deadline=Duration(f"{deadline}ms"),
    ),
    st.integers(1, 100),
    st.integers(0, 10_000),
    st.integers(0, 100_000),
    st.integers(1, 10**7),
)
failures = st.builds(
    Failure,
    reason=st.sampled_from(FailureReason),
    message=st.just("why"),
    status=st.none() | st.sampled_from([200, 301, 404, 408, 429, 500, 503]),
    retry_after=st.none() | st.floats(0, 1e9),
)


@given(
    retries,
    failures,
    st.integers(1, 200),
    st.floats(0, 1e5),
    st.floats(0, 1, exclude_max=True),
)
def test_every_bound_holds(
    retry: Retry, failure: Failure, attempts: int, elapsed: float, chance: float
) -> None:
    found = decide(retry, failure, attempts=attempts, elapsed=elapsed, chance=chance)
    if isinstance(found, Again):
        if failure.reason in INNOCENT:
            assert found.delay == ANOTHER_WAY
        else:
            assert 0 <= found.delay <= retry.backoff.max.seconds
            assert attempts < retry.attempts
        assert elapsed + found.delay <= retry.deadline.seconds
    else:
        assert found.attempts == attempts
        assert found.failure.reason is failure.reason


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (Failure(FailureReason.TIMEOUT, ""), True),
        (Failure(FailureReason.CONNECTION, ""), True),
        (Failure(FailureReason.MALFORMED, "", 200), True),
        (Failure(FailureReason.HTTP_STATUS, "", 429), True),
        (Failure(FailureReason.HTTP_STATUS, "", 503), True),
        (Failure(FailureReason.HTTP_STATUS, "", 404), False),
        (Failure(FailureReason.HTTP_STATUS, "", 301), False),
        (Failure(FailureReason.TOO_LARGE, "", 200), False),
        (Failure(FailureReason.INVALID_ITEM, ""), False),
    ],
)
def test_only_what_may_pass_is_tried_again(failure: Failure, *, again: bool) -> None:
    found = decide(Retry(), failure, attempts=1, elapsed=0, chance=0.5)
    assert isinstance(found, Again) == again


@pytest.mark.parametrize(("attempts", "ceiling"), [(1, 0.5), (2, 1), (3, 2), (4, 4)])
def test_the_jitter_is_full_below_a_doubling_ceiling(attempts: int, ceiling: float) -> None:
    for chance in (0.0, 0.25, 0.75):
        found = decide(Retry(), TIMEOUT, attempts=attempts, elapsed=0, chance=chance)
        assert found == Again(chance * ceiling)


def test_waits_grow_by_refusals_that_cost_no_attempt() -> None:
    refused = Failure(FailureReason.HTTP_STATUS, "", 429)
    for refusals, ceiling in ((1, 0.5), (2, 1), (5, 8), (1000, 60)):
        found = decide(Retry(), refused, attempts=0, refusals=refusals, elapsed=0, chance=0.5)
        assert found == Again(0.5 * ceiling)


def test_the_last_attempt_is_the_last() -> None:
    retry = Retry(attempts=3)
    assert isinstance(decide(retry, TIMEOUT, attempts=2, elapsed=0, chance=0), Again)
    assert decide(retry, TIMEOUT, attempts=3, elapsed=0, chance=0) == GivenUp(TIMEOUT, 3)


def test_the_fault_of_a_proxy_costs_no_attempt_but_must_end() -> None:
    refused = Failure(FailureReason.PROXY, "the proxy answered 403")
    for attempts in (0, 100):
        found = decide(Retry(), refused, attempts=attempts, elapsed=599, chance=0.5)
        assert found == Again(ANOTHER_WAY)
    assert isinstance(decide(Retry(), refused, attempts=0, elapsed=600, chance=0.5), GivenUp)


def test_what_the_api_asks_for_is_waited_for_and_jittered() -> None:
    failure = Failure(FailureReason.HTTP_STATUS, "", 429, retry_after=7)
    assert decide(Retry(), failure, attempts=1, elapsed=0, chance=0.5) == Again(7.25)


def test_no_wait_passes_the_bound_of_the_user() -> None:
    failure = Failure(FailureReason.HTTP_STATUS, "", 429, retry_after=3600)
    assert decide(Retry(), failure, attempts=1, elapsed=0, chance=0.5) == Again(60)


def test_a_wait_beyond_the_deadline_gives_up_and_says_so() -> None:
    headers = (("retry-after", "30"),)
    failure = Failure(FailureReason.HTTP_STATUS, "HTTP 429", 429, 30, headers=headers)
    found = decide(Retry(deadline=Duration("40s")), failure, attempts=1, elapsed=11, chance=0)
    assert isinstance(found, GivenUp)
    assert found.failure.headers == headers
    assert found.failure.message == "HTTP 429; another attempt would pass the deadline of 40s"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("9" * 400, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


@given(st.text(max_size=40))
def test_retry_after_never_breaks(value: str) -> None:
    found = parse_retry_after(value, NOW)
    assert found is None or found >= 0


@given(st.integers(0, 86_400))
def test_retry_after_as_a_date_is_the_time_until_then(seconds: int) -> None:
    date = (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert parse_retry_after(date, NOW) == seconds


def test_429_passes_whatever_the_statuses_but_not_where_a_rule_takes_it_for_a_failure() -> None:
    retry = Retry(statuses=(503,))
    asked_too_often = Failure(FailureReason.HTTP_STATUS, "429", 429)
    assert isinstance(decide(retry, asked_too_often, attempts=0, elapsed=0, chance=0), Again)
    gone = Failure(FailureReason.HTTP_STATUS, "500", 500)
    assert isinstance(decide(retry, gone, attempts=1, elapsed=0, chance=0), GivenUp)
    refused = Failure(FailureReason.REFUSED, "429, by responses[0]", 429)
    assert isinstance(decide(retry, refused, attempts=1, elapsed=0, chance=0), GivenUp)
