"""A Lease has one holder at a time, whatever operators do and however late their answers are."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.lease import DURATION, NAME, VALID, Sight, body, free, seen
from sluice_operator.observed import Object


def written(before: Object | None, holder: str) -> Object:
    """What the API server holds after a write."""
    version = int(before["metadata"]["resourceVersion"]) + 1 if before else 1
    found = body("sluice", holder, before)
    found["metadata"]["resourceVersion"] = str(version)
    return found


def test_it_is_taken_when_nobody_holds_it_or_for_too_long_already() -> None:
    ours, given_back = written(None, "me"), written(written(None, "me"), "")
    theirs = seen(None, written(None, "other"), 100)
    assert free(seen(None, ours, 0), "me", 1000)
    assert free(seen(None, given_back, 0), "me", 0)
    assert not free(theirs, "me", 100 + DURATION)
    assert free(theirs, "me", 100.1 + DURATION)


def test_a_renewal_is_seen_as_a_change_though_the_holder_stays() -> None:
    first = written(None, "other")
    sight = seen(None, first, 100)
    assert seen(sight, first, 110) is sight
    assert seen(sight, written(first, "other"), 110) == Sight("2", "other", 110)


def test_its_content_tells_people_who_holds_it_and_since_when() -> None:
    first = written(None, "one")
    renewed, taken = written(first, "one"), written(first, "other")
    assert first["metadata"]["name"] == NAME
    assert renewed["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert (renewed["spec"]["leaseTransitions"], taken["spec"]["leaseTransitions"]) == (0, 1)
    assert taken["spec"]["holderIdentity"] == "other"


@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two"]), st.floats(0, 8), st.floats(0, 4), st.booleans()),
        max_size=60,
    )
)
def test_two_never_count_on_it_at_once(steps: list[tuple[str, float, float, bool]]) -> None:
    """Each step: an operator looks after a pause; its answer takes a while; it may be cut off."""
    now, stored = 0.0, None
    sights: dict[str, Sight | None] = {"one": None, "two": None}
    until = {"one": 0.0, "two": 0.0}
    for who, pause, answer, cut_off in steps:
        now += pause
        asked = now
        if cut_off:
            continue
        now += answer
        if stored is not None:
            sights[who] = seen(sights[who], stored, asked)
        sight = sights[who]
        if sight is None or free(sight, who, asked):
            stored = written(stored, who)
            until[who] = asked + VALID
        assert sum(end > now for end in until.values()) <= 1
