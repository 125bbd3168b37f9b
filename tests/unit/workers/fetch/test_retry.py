"""Whether and when a failed item is tried again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.source import Retry
from sluice_workers.fetch.outcome import Again, Failure, GivenUp
from sluice_workers.fetch.retry import decide, parse_retry_after
from sluice_workers.wire import FailureReason

SPEC = Retry.model_validate(
    {"attempts": 5, "backoff": {"initial": "1s", "max": "8s"}, "deadline": "60s"}
)
TIMEOUT = Failure(FailureReason.TIMEOUT, "no answer")


def status(code: int, after: float | None = None) -> Failure:
    return Failure(FailureReason.HTTP_STATUS, "refused", code, after)


def ask(failure: Failure, attempts: int = 1, elapsed: float = 0, chance: float = 0.5) -> object:
    return decide(SPEC, failure, attempts=attempts, elapsed=elapsed, chance=chance)


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(code: int) -> None:
    assert ask(status(code)) == Again(0.5)


@pytest.mark.parametrize("code", [400, 401, 404, 501])
def test_what_cannot_pass_is_given_up_at_once(code: int) -> None:
    assert ask(status(code)) == GivenUp(status(code), 1)


def test_the_wait_doubles_up_to_its_bound() -> None:
    waits = [ask(TIMEOUT, attempts=number, chance=0.999) for number in (1, 2, 3, 4)]
    assert [round(again.delay) for again in waits if isinstance(again, Again)] == [1, 2, 4, 8]


def test_the_last_attempt_gives_up() -> None:
    assert ask(TIMEOUT, attempts=5) == GivenUp(TIMEOUT, 5)


def test_what_the_api_asks_for_is_waited_for_within_the_bound() -> None:
    assert ask(status(429, 3), chance=0) == Again(3)
    assert ask(status(429, 3600), chance=0) == Again(8)


def test_no_wait_passes_the_deadline() -> None:
    found = ask(TIMEOUT, elapsed=59.9)
    assert isinstance(found, GivenUp)
    assert "deadline of 60s" in found.failure.message


@given(st.integers(1, 100), st.floats(0, 0.999), st.none() | st.floats(0, 1e6))
def test_a_wait_is_never_longer_than_its_bound(
    attempts: int, chance: float, after: float | None
) -> None:
    spec = SPEC.model_copy(update={"attempts": 1000})
    found = decide(spec, status(503, after), attempts=attempts, elapsed=0, chance=chance)
    assert isinstance(found, Again)
    assert 0 <= found.delay <= 8


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
