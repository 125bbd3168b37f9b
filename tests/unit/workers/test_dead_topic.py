"""What the dead topic comes to, in whatever order and however often its messages are read."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers import wire
from sluice_workers.dead_topic import (
    Event,
    Failed,
    PutBack,
    Recovered,
    Standing,
    failure_rank,
    read_event,
    success_rank,
)


def failed(key: str, version: int, *, record: bool = False, reason: str = "Timeout") -> Failed:
    rank = failure_rank(version, record=record)
    return Failed(key, f"{key}-{version}", version, rank, reason, 10 * version + record)


def put_back(key: str, version: int) -> PutBack:
    return PutBack(key, f"{key}-{version}", version, "r")


KEYS = st.sampled_from(["a", "b"])
VERSIONS = st.integers(0, 6)
EVENTS = st.one_of(
    st.builds(lambda k, v, r: failed(k, v, record=r), KEYS, VERSIONS, st.booleans()),
    st.builds(Recovered, KEYS, VERSIONS),
    st.builds(put_back, KEYS, VERSIONS),
)


def standing(events: list[Event]) -> Standing:
    found = Standing()
    for event in events:
        found.add(event)
    return found


def outcome(events: list[Event]) -> tuple[dict[str, int], set[tuple[str, int]]]:
    found = standing(events)
    return found.ranks(), {(each.key, each.offset) for each in found.to_put_back()}


@given(st.lists(EVENTS, max_size=20).flatmap(lambda e: st.tuples(st.just(e), st.permutations(e))))
def test_neither_order_nor_repetition_matters(both: tuple[list[Event], list[Event]]) -> None:
    events, shuffled = both
    assert outcome(events) == outcome(shuffled) == outcome(events + shuffled)


@given(st.lists(EVENTS, max_size=20))
def test_a_key_has_failed_unless_a_later_item_succeeded(events: list[Event]) -> None:
    for key in ("a", "b"):
        mine = [each for each in events if each.key == key]
        ranks = [each.rank for each in mine if isinstance(each, Failed)]
        successes = [success_rank(each.version) for each in mine if isinstance(each, Recovered)]
        is_failed = max(ranks, default=-1) > max(successes, default=-1)
        assert (key in standing(events).ranks()) == is_failed


def test_a_refused_record_outlives_the_success_of_its_own_item_only() -> None:
    refused = failed("a", 5, record=True)
    assert standing([refused, Recovered("a", 5)]).ranks() == {"a": refused.rank}
    assert standing([refused, Recovered("a", 6)]).ranks() == {}
    assert standing([failed("a", 5), Recovered("a", 5)]).ranks() == {}


def test_what_is_put_back_is_chosen_and_not_put_back_again() -> None:
    events: list[Event] = [failed("a", 1), failed("b", 2, reason="HttpStatus"), failed("b", 3)]
    found = standing(events)
    assert {each.version for each in found.to_put_back()} == {1, 2, 3}
    assert {each.version for each in found.to_put_back(reasons=["HttpStatus"])} == {2}
    assert {each.version for each in found.to_put_back(["Timeout"], ["b"])} == {3}
    found.add(put_back("b", 3))
    assert {each.version for each in found.to_put_back()} == {1, 2}
    assert found.ranks().keys() == {"a", "b"}, "put back is not yet succeeded"
    assert found.by_redrive["r"] == 1


def test_a_message_that_nobody_of_us_wrote_is_passed_over() -> None:
    def message(*headers: tuple[str, bytes]) -> SimpleNamespace:
        return SimpleNamespace(key=b"k", headers=headers, offset=0, value=None)

    assert read_event(message()) is None
    assert read_event(message((wire.VERSION, b"x"))) is None
    own = ("user", b"\xff")
    assert read_event(message(own, (wire.RECOVERED, b"7"))) == Recovered("k", 7)
