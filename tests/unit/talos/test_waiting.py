"""A wait ends: with what was waited for, with what cannot be waited out, or with its bound."""

import pytest

from sluice_api.errors import DependencyError
from sluice_talos.trouble import Kind, Trouble
from sluice_talos.waiting import Patience, wait

PATIENCE = Patience(bound=0.05, pause=0.01, waits_out=frozenset({Kind.TOO_EARLY, Kind.CLOCK}))


async def waited(*answers: Trouble | str) -> tuple[str, list[str]]:
    left, said = list(answers), list[str]()

    async def attempt() -> Trouble | str:
        return left.pop(0) if len(left) > 1 else left[0]

    return await wait("node one", attempt, PATIENCE, said.append), said


async def test_what_passes_is_waited_out_and_each_reason_is_told_once() -> None:
    early, clock = Trouble(Kind.TOO_EARLY, "a"), Trouble(Kind.CLOCK, "b")
    found, said = await waited(early, early, clock, "done")
    assert found == "done"
    assert len(said) == 2


async def test_what_waiting_cannot_help_ends_at_once() -> None:
    with pytest.raises(DependencyError, match="another cluster") as found:
        await waited(Trouble(Kind.FOREIGN, "a"))
    assert "waited" not in str(found.value)


async def test_the_bound_ends_it() -> None:
    with pytest.raises(DependencyError, match=r"not in sync .* \(waited 0 s\)"):
        await waited(Trouble(Kind.CLOCK, "b"))
