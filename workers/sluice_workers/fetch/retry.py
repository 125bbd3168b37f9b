"""Whether and when a failed item is tried again; pure."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from sluice_api.source import Retry
from sluice_workers.fetch.outcome import Again, Failure, GivenUp
from sluice_workers.fetch.quota import LONGEST
from sluice_workers.wire import FailureReason

PASSING: Final = frozenset(
    {
        FailureReason.TIMEOUT,
        FailureReason.CONNECTION,
        FailureReason.MALFORMED,
        FailureReason.RETRIED,
        FailureReason.RATE_LIMITED,
        FailureReason.AUTHENTICATION,
        FailureReason.TOO_SLOW,
    }
)
"""Reasons that another attempt may heal. A malformed answer is one: APIs cut them under load."""

INNOCENT: Final = frozenset({FailureReason.PROXY, FailureReason.NO_PERMIT})
"""Reasons that are neither the API's nor the item's; but what nobody can ask for must end too."""
ANOTHER_WAY: Final = 0.2
"""Seconds until an item whose proxy failed is asked for by another."""


def decide(
    retry: Retry,
    failure: Failure,
    *,
    attempts: int,
    elapsed: float,
    chance: float,
    refusals: int = 0,
) -> Again | GivenUp:
    """Decide on an item whose attempt number ``attempts`` failed.

    ``elapsed`` is seconds since its first attempt began, ``chance`` a random number in [0, 1), and
    ``refusals`` how often the API was asked too often: they cost no attempt, but make waits longer.
    """
    innocent = failure.reason in INNOCENT
    if not innocent and (attempts >= retry.attempts or not _may_pass(retry, failure)):
        return GivenUp(failure, attempts)
    delay = ANOTHER_WAY if innocent else _delay(retry, failure, attempts + refusals, chance)
    if elapsed + delay > retry.deadline.seconds:
        return GivenUp(_past_deadline(retry, failure), attempts)
    return Again(delay)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number of seconds or an HTTP date.

    None for no header and for what is neither; a date in the past asks for none, and nothing asks
    for more than a day.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return heeded(float(text))
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return heeded((aware - now).total_seconds())


def heeded(seconds: float) -> float:
    """Return how much of a wait that was asked for is waited: whatever is said, jobs go on."""
    return min(max(0.0, seconds), LONGEST)


def _may_pass(retry: Retry, failure: Failure) -> bool:
    if failure.reason is FailureReason.HTTP_STATUS:
        return failure.rate_limited or failure.status in retry.statuses
    return failure.reason in PASSING


def _delay(retry: Retry, failure: Failure, tries: int, chance: float) -> float:
    """Full jitter; on top of what the API asked for, lest all come back at one moment."""
    initial, longest = retry.backoff.initial.seconds, retry.backoff.max.seconds
    # Bounded exponent: tries reach hundreds, and 2^100 has no use.
    ceiling = min(math.ldexp(initial, min(tries - 1, 60)), longest)
    return min((failure.retry_after or 0.0) + chance * ceiling, longest)


def _past_deadline(retry: Retry, failure: Failure) -> Failure:
    message = f"{failure.message}; another attempt would pass the deadline of {retry.deadline}"
    return replace(failure, message=message)
