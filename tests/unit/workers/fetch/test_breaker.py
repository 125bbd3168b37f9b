"""When an API counts as down, and what that costs its items."""

from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.breaker import Breaker, blames_api
from sluice_workers.fetch.outcome import Failure
from sluice_workers.wire import FailureReason

SETTINGS = CircuitBreaker.model_validate({"failures": 3, "pause": {"initial": "1s", "max": "4s"}})


def opened(at: float = 10.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        assert breaker.failed(at - 1, at, "503")
    assert breaker.is_open
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(10):
        breaker.failed(0, 1, "503")
        breaker.failed(0, 1, "503")
        breaker.answered()
    assert not breaker.is_open
    assert breaker.wait(1) == 0


def test_while_it_is_open_one_request_may_start_each_pause_and_the_pause_grows() -> None:
    breaker = opened(at=10)
    assert breaker.wait(10.25) == 0.75
    assert breaker.wait(11) == 0
    assert breaker.wait(11) > 0, "only one"
    assert breaker.failed(11, 11.5, "503"), "it counts: it was tried while the API was down"
    assert breaker.wait(11.5) == 2
    for now in (20, 30, 40):
        breaker.failed(now, now, "503")
    assert breaker.wait(40) == 4, "never longer than max"


def test_what_was_under_way_is_not_held_against_its_item() -> None:
    assert not opened(at=10).failed(9.5, 12, "503")


def test_one_answer_closes_it() -> None:
    breaker = opened(at=10)
    breaker.answered()
    assert not breaker.is_open
    assert breaker.wait(10) == 0


def test_only_what_may_be_the_api_is_blamed_on_it() -> None:
    assert blames_api(Failure(FailureReason.HTTP_STATUS, "", 503))
    assert blames_api(Failure(FailureReason.CONNECTION, ""))
    assert not blames_api(Failure(FailureReason.HTTP_STATUS, "", 404))
    assert not blames_api(Failure(FailureReason.HTTP_STATUS, "", 429))
    assert not blames_api(Failure(FailureReason.MALFORMED, ""))
