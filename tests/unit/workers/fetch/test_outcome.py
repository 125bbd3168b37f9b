"""What an attempt came to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.outcome import MAX_MESSAGE, Failure
from sluice_workers.wire import FailureReason

ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.binary().map(
    lambda found: found.decode(errors="surrogateescape")
)


@given(ANY_TEXT)
def test_a_message_is_legible_whatever_it_quotes(text: str) -> None:
    message = Failure(FailureReason.HTTP_STATUS, text).message
    message.encode()
    assert json.loads(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("status", "more", "limited"),
    [
        (429, {}, True),
        (403, {}, False),
        (403, {"rest": 60.0}, True),
        (403, {"retry_after": 0.0}, True),
        (404, {"rest": 60.0}, False),
    ],
)
def test_403_with_a_wait_is_a_rate_limit(
    *, status: int, more: dict[str, float], limited: bool
) -> None:
    assert Failure(FailureReason.HTTP_STATUS, "no", status, **more).rate_limited == limited
    assert not Failure(FailureReason.REFUSED, "by a rule", status, **more).rate_limited


def test_a_message_is_cut_where_it_quotes_a_whole_answer() -> None:
    assert len(Failure(FailureReason.HANDLER_ERROR, "x" * 3_000_000).message) == MAX_MESSAGE
