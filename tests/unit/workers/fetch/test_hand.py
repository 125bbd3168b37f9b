"""When the tokens of a lease may be used."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.fetch.hand import LASTING, Hand, Lease

SECONDS = st.floats(0, 1)


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    earliest = draw(st.floats(0, 10))
    return Lease(
        granted=draw(st.integers(0, 50)),
        held=draw(st.floats(-50, 50)),
        pace=draw(st.floats(1, 10_000)),
        late=draw(st.floats(0.001, 0.5)),
        lasts=draw(st.booleans()),
        earliest=earliest,
        latest=earliest + draw(st.floats(0, 0.2)),
    )


@given(leases(), SECONDS)
def test_a_token_is_used_within_its_time_whenever_it_was_granted(lease: Lease, when: float) -> None:
    granted_at = lease.earliest + when * (lease.latest - lease.earliest)
    for number, (first, last) in enumerate(lease.tokens(), 1):
        moment = granted_at + max(0.0, number - lease.held) / lease.pace
        assert first >= moment - 1e-9
        if lease.lasts:
            assert last <= granted_at + LASTING + 1e-9
        elif lease.latest - lease.earliest <= lease.late / 2:
            assert last <= moment + lease.late + 1e-9
        else:
            assert last >= first + lease.late / 2 - 1e-9, "a slow Redis starves nobody"


@given(leases(), st.lists(st.floats(0, 0.3), max_size=100))
def test_no_token_is_used_twice_early_or_late(lease: Lease, steps: list[float]) -> None:
    hand = Hand()
    hand.add(lease)
    tokens = lease.tokens()
    for now in itertools.accumulate(steps, initial=lease.latest):
        usable = [token for token in tokens if token[0] <= now < token[1]]
        assert hand.take(now) == bool(usable)
        if usable:
            tokens.remove(usable[0])
        if (wait := hand.wait(now)) is not None:
            assert any(max(0.0, first - now) == wait for first, _ in tokens)
    assert hand.used == lease.granted - len(tokens)


@given(leases(), SECONDS)
def test_what_lasts_is_renewed_before_it_is_used_up_or_lapses(lease: Lease, after: float) -> None:
    hand, now = Hand(), lease.latest + after
    hand.add(lease)
    while not hand.is_low(now) and hand.take(now):
        pass
    if lease.lasts and hand.is_low(now) and now < lease.earliest + LASTING / 2:
        assert len(lease.tokens()) - hand.used == lease.granted // 4
    if now >= lease.earliest + LASTING and lease.lasts:
        assert hand.is_low(now)
