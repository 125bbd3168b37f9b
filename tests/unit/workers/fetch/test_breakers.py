"""Each origin has its own breaker, and few are known at any time."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.breaker import Breaker
from sluice_workers.fetch.breakers import Breakers, origin_of

SETTINGS = CircuitBreaker.model_validate({"failures": 3, "pause": {"initial": "1s", "max": "4s"}})
A, B, C = "https://a.example", "https://b.example", "https://c.example"
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([A, B, C]), st.sampled_from(["fail", "answer", "start"]), st.floats(0, 3)
    )
)


@given(EVENTS)
def test_each_origin_fares_as_if_it_were_alone(
    events: list[tuple[str, str, float]],
) -> None:
    now = 0.0
    breakers = Breakers(SETTINGS, clock=lambda: now)
    alone = {origin: Breaker(SETTINGS) for origin in (A, B, C)}
    for origin, what, passed in events:
        now += passed
        own = alone[origin]
        if what == "fail":
            assert breakers.failed(origin, now, "503") == own.failed(now, now, "503")
        elif what == "answer":
            breakers.answered(origin)
            alone[origin] = own = Breaker(SETTINGS)
        else:
            assert breakers.admits(origin) == (own.wait(now) <= 0)
        for name, each in alone.items():
            assert breakers.is_open(name) == each.is_open
            assert breakers.pause(name) == each.rest(now)
            assert breakers.interval(name) == each.pause


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans())), st.integers(1, 5))
def test_only_the_origins_that_failed_last_are_known(
    events: list[tuple[int, bool]], most: int
) -> None:
    breakers = Breakers(CircuitBreaker(failures=1), most, clock=lambda: 0.0)
    known: deque[str] = deque(maxlen=most)
    for number, failed in events:
        origin = f"http://{number}.example"
        if origin in known:
            known.remove(origin)
        if failed:
            breakers.failed(origin, 0, "down")
            known.append(origin)
        else:
            breakers.answered(origin)
        assert len(breakers) == len(known)
        assert all(map(breakers.is_open, known))


def test_the_message_says_which_origin_is_down() -> None:
    breakers = Breakers(CircuitBreaker(failures=1), clock=lambda: 0.0)
    assert breakers.message is None
    breakers.failed(A, 0, "the API answered 503")
    assert breakers.message is not None
    assert breakers.message.startswith(f"{A} does not serve: the API answered 503; one request")
    breakers.failed(B, 0, "no answer")
    assert breakers.message.startswith(f"{B} does not serve")
    assert breakers.message.endswith("1 other origins are down as well")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example.com/a?b=http://c/", "https://api.example.com"),
        ("https://api.example.com:443?x", "https://api.example.com"),
        ("http://api.example.com:8080#x", "http://api.example.com:8080"),
        ("http://[::1]:80/a", "http://[::1]"),
        ("http://user:secret@host/", "http://host"),
        ("http://host:99999999/", "http://host:99999999"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_origin_is_the_same_however_it_is_spelt(url: str, origin: str) -> None:
    assert origin_of(url) == origin
