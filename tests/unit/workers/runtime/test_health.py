"""What follows from what the supervisor saw."""

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.runtime.health import FROZEN_AFTER, Sighting, frozen, pod_state, unready
from sluice_workers.state import ProcessState

sightings = st.lists(
    st.tuples(st.booleans(), st.none() | st.floats(0, 1000)), min_size=1, max_size=8
).map(
    lambda found: [
        Sighting(ProcessState(process=index, ready=ready), beat)
        for index, (ready, beat) in enumerate(found)
    ]
)


@given(sightings, st.floats(0, 2000))
def test_only_running_children_freeze(seen: list[Sighting], now: float) -> None:
    for index, sighting in enumerate(seen):
        old = sighting.heartbeat is not None and now - sighting.heartbeat > FROZEN_AFTER
        assert (index in frozen(seen, now)) == old


@given(sightings)
def test_ready_needs_every_child_running_and_ready(seen: list[Sighting]) -> None:
    all_ready = all(one.state.ready and one.heartbeat is not None for one in seen)
    assert (unready(seen) == []) == all_ready


def test_the_state_lists_the_processes_in_order() -> None:
    seen = [Sighting(ProcessState(process=index), None) for index in range(3)]
    assert [process.process for process in pod_state("fetcher", seen).processes] == [0, 1, 2]
