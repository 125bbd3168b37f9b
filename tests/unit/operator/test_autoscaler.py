"""How many pods: decided from the lag."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.autoscaler import (
    Bounds,
    Ceiling,
    Decision,
    Policy,
    Reading,
    decide,
    rate_limited_replicas,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLICY = Policy(lag_per_replica=100, catch_up=60, scale_down_after=300)
BOUNDS = Bounds(minimum=0, maximum=6, partitions=12, processes=2)


def reading(*lag: int, replicas: int = 0, rate: float | None = None) -> Reading:
    return Reading(lag or None, replicas, rate, 1000)


def test_the_lag_decides_upwards_at_once() -> None:
    found = decide(reading(*[50] * 10), BOUNDS, POLICY, None, NOW)
    assert found.replicas == 5
    assert found.bound is None
    assert "lag 500" in found.reason


def test_a_seen_rate_stands_in_for_a_given_lag() -> None:
    policy = Policy(None, catch_up=10, scale_down_after=300)
    found = decide(reading(*[100] * 12, rate=40), BOUNDS, policy, None, NOW)
    assert found.replicas == 3
    assert "40/s" in found.reason


def test_until_a_rate_is_seen_one_is_assumed() -> None:
    policy = Policy(None, catch_up=10, scale_down_after=300)
    found = decide(reading(*[200] * 12), BOUNDS, policy, None, NOW)
    assert found.replicas == 3
    assert "assumed" in found.reason


def test_the_bound_that_holds_is_named() -> None:
    assert decide(reading(*[9999] * 12), BOUNDS, POLICY, None, NOW).bound == "replicas.max is 6"
    few = Bounds(0, 50, partitions=5, processes=2)
    bound = decide(reading(*[9999] * 5), few, POLICY, None, NOW).bound
    assert bound == "5 partitions feed 3 pods"
    one = decide(reading(9999, 0, 0, 0, 0, 0), Bounds(0, 50, 6), POLICY, None, NOW)
    assert one.replicas == 1
    assert one.bound == "only 1 pods' partitions have lag"
    limited = Bounds(0, 50, 12, rate_limited=2)
    assert decide(reading(*[9999] * 12), limited, POLICY, None, NOW).replicas == 2


def test_fewer_pods_only_after_they_were_enough_for_the_window() -> None:
    first = decide(reading(0, 0, replicas=4), BOUNDS, POLICY, None, NOW)
    assert first.replicas == 4
    assert first.fewer_since == NOW
    later = NOW + timedelta(seconds=299)
    second = decide(reading(0, 0, replicas=4), BOUNDS, POLICY, first, later)
    assert second.replicas == 4
    end = NOW + timedelta(seconds=300)
    assert decide(reading(0, 0, replicas=4), BOUNDS, POLICY, second, end).replicas == 0


def test_what_the_pods_hold_already_asks_for_no_more_of_them() -> None:
    waiting = Reading((300, 300), 1, None, 1000, in_hand=550)
    found = decide(waiting, BOUNDS, POLICY, None, NOW)
    assert found.replicas == 1
    assert "lag 50" in found.reason
    all_held = Reading((300, 300), 1, None, 1000, in_hand=700)
    assert decide(all_held, BOUNDS, POLICY, None, NOW).replicas == 1


def test_lag_in_between_begins_the_window_anew() -> None:
    first = decide(reading(0, replicas=1), BOUNDS, POLICY, None, NOW)
    again = decide(reading(50, replicas=1), BOUNDS, POLICY, first, NOW + timedelta(seconds=200))
    assert again.fewer_since is None


def test_a_reading_with_a_hole_changes_nothing() -> None:
    last = Decision(3, "", None, NOW)
    found = decide(Reading(None, 3, None, 10), BOUNDS, POLICY, last, NOW + timedelta(hours=1))
    assert found.replicas == 3
    assert found.fewer_since == NOW


def test_the_minimum_runs_without_lag() -> None:
    assert decide(reading(0, 0), Bounds(2, 6, 12), POLICY, None, NOW).replicas == 2


@given(
    lag=st.lists(st.integers(0, 10_000), min_size=1, max_size=24),
    replicas=st.integers(0, 12),
    minimum=st.integers(0, 4),
    maximum=st.integers(1, 12),
    processes=st.integers(1, 4),
    rate=st.none() | st.floats(0.1, 1000),
)
def test_a_decision_keeps_within_its_bounds(
    lag: list[int], replicas: int, minimum: int, maximum: int, processes: int, rate: float | None
) -> None:
    bounds = Bounds(min(minimum, maximum), maximum, len(lag), processes)
    found = decide(reading(*lag, replicas=replicas, rate=rate), bounds, POLICY, None, NOW)
    fed = -(-len(lag) // processes)
    assert found.replicas <= max(replicas, min(maximum, fed))
    assert found.replicas >= min(replicas, maximum, fed)
    if sum(lag):
        assert found.replicas >= 1


def test_a_rate_limit_feeds_rate_times_latency_requests_in_flight() -> None:
    assert rate_limited_replicas(1000, 0.5, 200, None) == 3
    assert rate_limited_replicas(1, 0.01, 200, None) == 1
    assert rate_limited_replicas(None, 0.5, 200, None) is None
    assert rate_limited_replicas(10, None, 200, None) is None


def test_pods_that_fall_short_of_their_slots_are_as_many_as_reach_the_rate_limit() -> None:
    assert rate_limited_replicas(2000, 0.02, 200, 500) == 4
    assert rate_limited_replicas(2000, 0.02, 200, 1000) == 2, "two reach it: no third"
    assert rate_limited_replicas(2000, 0.02, 200, 980) == 2, "nor when they nearly do"


def test_writers_are_no_more_than_the_database_has_connections_for() -> None:
    room = Ceiling(3, "the sink's database has connections for 3 writers")
    found = decide(reading(*[9999] * 12), Bounds(0, 9, 12, room=room), POLICY, None, NOW)
    assert (found.replicas, found.bound) == (3, room.why)
    # Also when people asked for more at the least: those would only wait.
    found = decide(reading(*[9999] * 12), Bounds(5, 9, 12, room=room), POLICY, None, NOW)
    assert (found.replicas, found.bound) == (3, room.why)
    found = decide(reading(*[0] * 12), Bounds(5, 9, 12, room=room), POLICY, None, NOW)
    assert (found.replicas, found.bound) == (3, room.why)
    wide = Ceiling(50, "")
    assert (
        decide(reading(*[9999] * 12), Bounds(0, 9, 12, room=wide), POLICY, None, NOW).replicas == 9
    )
