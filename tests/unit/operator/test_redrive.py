"""A redrive from wish to outcome, and the run that goes on for it."""

from datetime import UTC, datetime
from typing import Any

from operator_examples import job, topics
from sluice_api.status import IngestionJobStatus, RedriveStatus
from sluice_operator import plan
from sluice_operator.observed import Job, Observation, Progress, Task, TopicOffsets
from sluice_operator.redrive import advance, under_way
from sluice_operator.run import advance as advance_run
from sluice_operator.run import begin, reopen

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DONE = Task(Progress.SUCCEEDED, run="1", message='{"id": "1", "items": 7, "gone": 1}')
BEGUN = RedriveStatus(id="1", started_at=NOW)


def asked(status: RedriveStatus | None = None, wish: dict[str, Any] | None = None) -> Job:
    content = {} if wish is None else {"redrive": wish}
    run = begin("0123456789", 1, NOW)
    return job(IngestionJobStatus(topics=topics(), run=run, redrive=status), **content)


def test_a_wish_is_begun_carried_out_once_and_answered() -> None:
    assert advance(asked(), Task(), NOW) is None
    assert advance(asked(wish={"id": "1"}), DONE, NOW) == BEGUN
    begun = asked(BEGUN, {"id": "1"})
    assert advance(begun, Task(Progress.RUNNING, run="1"), NOW) == BEGUN
    assert advance(begun, Task(Progress.SUCCEEDED, run="0", message=DONE.message), NOW) == BEGUN
    ended = advance(begun, DONE, NOW)
    assert ended is not None
    assert (ended.items, ended.gone, under_way(ended)) == (7, 1, False)
    assert advance(asked(ended, {"id": "1"}), Task(), NOW) == ended
    assert advance(asked(ended, {"id": "2"}), DONE, NOW) == RedriveStatus(id="2", started_at=NOW)


def test_a_pod_without_last_words_leaves_the_number_unknown() -> None:
    ended = advance(asked(BEGUN, {"id": "1"}), Task(Progress.SUCCEEDED, run="1"), NOW)
    assert ended is not None
    assert ended.completed_at == NOW
    assert ended.items is None


def test_a_wish_that_is_withdrawn_ends_with_its_pod() -> None:
    assert advance(asked(BEGUN), Task(Progress.RUNNING, run="1"), NOW) == BEGUN
    assert not under_way(advance(asked(BEGUN), Task(Progress.FAILED, run="1"), NOW))


def test_its_pod_is_planned_only_while_it_is_under_way() -> None:
    def planned(found: Job) -> set[str]:
        want = plan.wanted(found, "image")
        assert want is not None
        seen = Observation(now=NOW, migrate=Task(Progress.SUCCEEDED))
        return {component for component, _, _ in plan._tasks(found, seen, want)}  # noqa: SLF001

    assert "redrive" in planned(asked(BEGUN, {"id": "1"}))
    ended = BEGUN.model_copy(update={"completed_at": NOW})
    assert "redrive" not in planned(asked(ended, {"id": "1"}))
    assert "redrive" not in planned(asked(BEGUN))


def test_a_completed_run_ends_anew_without_another_seed() -> None:
    offsets = TopicOffsets((0,), (4,), (4,))
    run = begin("0123456789", 1, NOW)
    for _ in range(3):
        run = advance_run(run, seeded=True, ends=True, items=offsets, records=[offsets], now=NOW)
    assert run.completed_at == NOW
    again = reopen(run)
    assert again.seeded_at == NOW
    more = TopicOffsets((0,), (6,), (4,))
    waiting = advance_run(again, seeded=False, ends=True, items=more, records=[offsets], now=NOW)
    assert waiting == again, "while items are put back, the end is not read"
    again = advance_run(again, seeded=True, ends=True, items=more, records=[offsets], now=NOW)
    assert again.items_end == (6,)
    again = advance_run(again, seeded=True, ends=True, items=more, records=[offsets], now=NOW)
    assert again.completed_at is None
