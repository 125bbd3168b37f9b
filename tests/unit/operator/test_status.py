"""The status and the events that tell of its changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from operator_examples import job, ready_status, topics
from sluice_api.status import ConditionType, IngestionJobStatus, Phase
from sluice_operator.autoscaler import Decision
from sluice_operator.events import between
from sluice_operator.observed import Job, Observation, Progress, Role, Task, TopicOffsets, Workers
from sluice_operator.run import begin
from sluice_operator.status import Decided, status
from sluice_workers.state import Trouble

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RUN = begin("0123456789", 1, NOW)
SEEDED = RUN.model_copy(update={"seeded_at": NOW, "items_end": (10,)})
THERE = {f"team.users.{suffix}": 12 for suffix in ("items", "records", "dead")}
OFFSETS = TopicOffsets((0,), (10,), (4,))


def seen(**changes: Any) -> Observation:
    content = {
        "now": NOW,
        "partitions": THERE,
        "items": OFFSETS,
        "records": OFFSETS,
        "migrate": Task(Progress.SUCCEEDED),
        "fetcher": Workers(exists=True, desired=2, ready=2),
        "writer": Workers(exists=True, desired=1, ready=1),
    }
    return Observation(**(content | changes))


def decided(**changes: Any) -> Decided:
    content = {
        "topics": topics(),
        "run": SEEDED,
        "decisions": {Role.FETCHER: Decision(2, "lag"), Role.WRITER: Decision(1, "lag")},
    }
    return Decided(**(content | changes))


def reason(found: IngestionJobStatus, kind: ConditionType) -> tuple[str, str]:
    condition = next(each for each in found.conditions if each.type is kind)
    return condition.status.value, condition.reason


def test_a_job_at_work_is_running_and_ready() -> None:
    found = status(job(ready_status(SEEDED)), seen(), decided())
    assert found.phase is Phase.RUNNING
    assert reason(found, ConditionType.READY) == ("True", "Running")
    assert (found.fetchers, found.writers, found.lag) == ("2/2", "1/1", 12)
    assert found.progress == "16%"
    assert found.observed_generation == 3


def test_a_completed_job_stays_ready_without_pods() -> None:
    done = SEEDED.model_copy(update={"records_end": (10,), "completed_at": NOW})
    found = status(job(), seen(fetcher=Workers()), decided(run=done))
    assert found.phase is Phase.COMPLETED
    assert found.progress == "100%"
    assert reason(found, ConditionType.COMPLETED) == ("True", "Drained")


def test_trouble_is_told_with_its_reason() -> None:
    trouble = Trouble(reason="SecretNotFound", message="Secret team/warehouse does not exist")
    found = status(job(), seen(), decided(troubles=(trouble,)))
    assert found.phase is Phase.DEGRADED
    assert reason(found, ConditionType.DEGRADED) == ("True", "SecretNotFound")
    assert reason(found, ConditionType.READY) == ("False", "SecretNotFound")


def test_the_first_missing_step_gives_the_reason() -> None:
    migrating = Task(Progress.RUNNING, at_work=True)
    found = status(job(), seen(migrate=migrating), decided(run=RUN))
    assert found.phase is Phase.PENDING
    assert reason(found, ConditionType.READY) == ("False", "MigrationsReadyRunning")
    failed = Task(Progress.FAILED, message="table public.users does not fit")
    found = status(job(), seen(migrate=failed), decided(run=RUN))
    assert reason(found, ConditionType.MIGRATIONS_READY) == ("False", "Failed")


def test_a_silent_broker_leaves_the_last_numbers() -> None:
    before = status(job(), seen(), decided())
    silent = seen(partitions=None, items=None, records=None)
    found = status(job(before), silent, decided())
    assert found.lag == before.lag
    assert found.progress == before.progress
    assert reason(found, ConditionType.SCALING) == ("False", "LagUnknown")


def test_times_change_only_when_a_condition_does() -> None:
    before = status(job(), seen(), decided())
    later = seen(now=NOW + timedelta(minutes=5))
    assert status(job(before), later, decided()) == before


def test_a_suspended_job_says_so() -> None:
    found = status(job(suspend=True), seen(), decided())
    assert found.phase is Phase.SUSPENDED


def told(before: Job, after: IngestionJobStatus) -> list[tuple[str, bool]]:
    return [(event.reason, event.warning) for event in between(before.status, after)]


def test_each_change_is_told_once() -> None:
    first = status(job(), seen(), decided())
    assert set(told(job(), first)) == {
        ("TopicsReady", False),
        ("MigrationsReady", False),
        ("Seeded", False),
        ("Scaled", False),
    }
    again = status(job(first), seen(), decided())
    assert told(job(first), again) == []


def test_trouble_and_its_end_are_told() -> None:
    first = status(job(), seen(), decided())
    trouble = Trouble(reason="BrokerUnreachable", message="no answer")
    degraded = status(job(first), seen(), replace(decided(), troubles=(trouble,)))
    assert told(job(first), degraded) == [("BrokerUnreachable", True)]
    healed = status(job(degraded), seen(), decided())
    assert told(job(degraded), healed) == [("Recovered", False)]


def test_a_pod_is_at_work_only_once_it_runs() -> None:
    found = status(job(), seen(migrate=Task(Progress.RUNNING)), decided())
    assert reason(found, ConditionType.MIGRATIONS_READY) == ("False", "Starting")
    at_work = Task(Progress.RUNNING, at_work=True)
    found = status(job(), seen(migrate=at_work), decided())
    assert reason(found, ConditionType.MIGRATIONS_READY) == ("False", "Running")
