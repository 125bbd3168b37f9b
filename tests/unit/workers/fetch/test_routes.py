"""Which way a request takes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.breaker import Breaker
from sluice_workers.fetch.connection import NoPermitError, Tally
from sluice_workers.fetch.routes import Route, choose, follow, preference

NAMES = [f"10.0.0.{number}:3128" for number in range(20)]


def route(name: str, in_use: int = 0, allowed: int = 2, failures: int = 0) -> Route:
    breaker = Breaker(CircuitBreaker.model_validate({"failures": 1, "pause": {"initial": "10s"}}))
    for _ in range(failures):
        breaker.failed(0, 0, "down")
    return Route(name, None, breaker, allowed=allowed, in_use=in_use)  # type: ignore[arg-type]


def test_the_least_used_way_is_taken() -> None:
    ways = [route("a", 2, 4), route("b", 1, 4), route("c", 1, 10)]
    assert choose(ways, 0) is ways[2]


def test_a_way_without_permits_is_not_taken() -> None:
    assert choose([route("a", 2, 2), route("b", 0, 0)], 0) is None


def test_one_request_tries_a_way_whose_rest_is_over() -> None:
    ways = [route("well"), route("resting", failures=1)]
    assert choose(ways, 5) is ways[0]
    assert choose(ways, 11) is ways[1]
    assert choose(ways, 11) is ways[0]


def test_a_key_waits_for_its_way_while_that_is_well() -> None:
    assert follow([route("its own", 2, 2), route("next")], 0) is None


def test_a_key_goes_the_next_way_while_its_own_rests() -> None:
    ways = [route("its own", failures=1), route("next")]
    assert follow(ways, 5) is ways[1]
    assert follow(ways, 11) is ways[0]
    assert follow(ways, 11) is ways[1]


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, unique=True), st.integers(0, 19))
def test_a_proxy_that_goes_moves_its_own_keys_alone(keys: list[bytes], gone: int) -> None:
    left = [name for number, name in enumerate(NAMES) if number != gone]
    for key in keys:
        before = [NAMES[index] for index in preference(key, NAMES)]
        after = [left[index] for index in preference(key, left)]
        assert after == [name for name in before if name != NAMES[gone]]


def test_keys_spread_evenly() -> None:
    firsts = Counter(preference(str(key).encode(), NAMES)[0] for key in range(10_000))
    assert len(firsts) == len(NAMES)
    assert max(firsts.values()) < 1.3 * 10_000 / len(NAMES)


def test_a_way_over_its_bound_asks_for_connections_to_be_closed() -> None:
    tally = Tally(lambda: True)
    found = Route("a", None, tally=tally, allowed=1)  # type: ignore[arg-type]
    tally.take()
    assert found.headers is None
    tally.take()
    assert found.headers == {"connection": "close"}


async def test_an_attempt_waits_for_a_connection_to_be_closed() -> None:
    tally = Tally(lambda: tally.open < 1)
    tally.take()
    attempts = 0

    async def attempt() -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            tally.give_back()
        tally.take()
        return "done"

    assert await tally.patiently(attempt) == "done"
    assert attempts == 2


async def test_an_attempt_does_not_wait_for_ever() -> None:
    async def attempt() -> None:
        raise OSError("wrapped") from NoPermitError("none")

    with pytest.raises(OSError, match="wrapped"):
        await Tally(lambda: False).patiently(attempt)
