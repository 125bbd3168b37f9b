"""What is known of a server's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.server_clock import DRIFT, ServerClock

SHORT = st.floats(0, 0.5)
QUESTIONS = st.lists(st.tuples(st.floats(0, 100), SHORT, SHORT), min_size=1, max_size=20)
"""Seconds since the last one, on the way there, and on the way back."""
EXACT = 1e-5


@given(st.floats(-1e6, 1e6), st.floats(-DRIFT / 2, DRIFT / 2), QUESTIONS)
def test_the_moment_lies_within_the_bounds_and_they_are_as_good_as_the_answer(
    offset: float, drift: float, questions: list[tuple[float, float, float]]
) -> None:
    clock, now = ServerClock(), 0.0
    for pause, there, back in questions:
        asked = now + pause
        answering = asked + there
        now = answering + back
        told = offset + answering * (1 + drift)
        earliest, latest = clock.between(told, asked, now)
        assert earliest - EXACT <= answering <= latest + EXACT
        assert asked - EXACT <= earliest
        assert latest <= now + EXACT


def test_a_quick_answer_tells_when_a_slow_one_was_given() -> None:
    clock = ServerClock()
    clock.between(1000.0, 5.0, 5.001)
    earliest, latest = clock.between(1001.0, 5.5, 8.0)
    assert 5.99 < earliest < latest < 6.01


def test_a_clock_that_was_set_is_believed_from_then_on() -> None:
    clock = ServerClock()
    clock.between(1000.0, 5.0, 5.001)
    assert clock.between(900.0, 6.0, 6.001) == pytest.approx((6.0, 6.001))
