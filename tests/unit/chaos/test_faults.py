"""Schedules are bounded, heal everything, and are the same for the same seed."""

from hypothesis import given
from hypothesis import strategies as st

from chaos.faults import CALM, FIRST, MEMBER, MENU, TOGETHER, Kind, length, schedule
from chaos.injector import events

WRITERS = ("upsert-0", "upsert-1", "append-0")
seeds = st.integers(0, 2**32)
counts = st.integers(0, 80)


@given(seeds, counts)
def test_a_seed_is_a_schedule(seed: int, count: int) -> None:
    faults = schedule(seed, count, WRITERS)
    assert faults == schedule(seed, count, WRITERS)
    assert len(faults) == count
    assert list(faults) == sorted(faults, key=lambda fault: fault.at)


@given(seeds, counts)
def test_a_longer_schedule_begins_like_a_shorter_one(seed: int, count: int) -> None:
    assert schedule(seed, count + 5, WRITERS)[:count] == schedule(seed, count, WRITERS)


@given(seeds, counts)
def test_it_is_bounded_in_time(seed: int, count: int) -> None:
    longest = max(dish.lasts[1] for dish in MENU)
    faults = schedule(seed, count, WRITERS)
    assert length(faults) <= FIRST + count * (CALM + longest)
    assert all(0 <= fault.lasts <= longest for fault in faults)


@given(seeds, counts)
def test_everything_is_healed_and_nothing_is_hurt_twice_at_once(seed: int, count: int) -> None:
    hurt: dict[tuple[str, ...], object] = {}
    for event in events(schedule(seed, count, WRITERS)):
        if event.heals:
            assert hurt.pop(event.fault.touches) == event.fault
        else:
            assert event.fault.touches not in hurt
            hurt[event.fault.touches] = event.fault
        assert len(hurt) <= TOGETHER
    assert not hurt


@given(seeds)
def test_a_round_has_all_of_the_menu(seed: int) -> None:
    served = schedule(seed, sum(dish.weight for dish in MENU), WRITERS)
    for dish in MENU:
        assert dish.weight == sum(
            fault.kind is dish.kind
            and dish.lasts[0] <= fault.lasts <= dish.lasts[1]
            and (fault.target in WRITERS if dish.target == MEMBER else fault.target == dish.target)
            and (fault.peer in WRITERS if dish.peer == MEMBER else fault.peer == dish.peer)
            for fault in served
        )


def test_some_faults_outlast_a_session_of_the_group() -> None:
    faults = schedule(1, 200, WRITERS)
    long = {fault.kind for fault in faults if fault.lasts > 11}
    assert long >= {Kind.STOP, Kind.CUT, Kind.MUTE, Kind.ISOLATE}
