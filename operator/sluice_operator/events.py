"""Which events tell of a change of status: a pure function."""

from collections.abc import Iterator
from dataclasses import dataclass

from sluice_api.status import (
    ConditionStatus,
    ConditionType,
    IngestionJobStatus,
    RedriveStatus,
    WorkersStatus,
)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event about a job."""

    reason: str
    message: str
    warning: bool = False


def between(before: IngestionJobStatus, after: IngestionJobStatus) -> Iterator[JobEvent]:
    """Yield an event for each step and each scaling decision between two statuses."""
    known = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        old = known.get(condition.type)
        if old is not None and (old.status, old.reason) == (condition.status, condition.reason):
            continue
        holds = condition.status is ConditionStatus.TRUE
        match condition.type:
            case ConditionType.DEGRADED if holds:
                yield JobEvent(condition.reason, condition.message, warning=True)
            case ConditionType.DEGRADED if old is not None:
                yield JobEvent("Recovered", "what was wrong is so no more")
            case (
                ConditionType.TOPICS_READY
                | ConditionType.MIGRATIONS_READY
                | ConditionType.SEEDED
                | ConditionType.COMPLETED
            ) if holds:
                yield JobEvent(str(condition.type), condition.message)
    yield from _put_back(before.redrive, after.redrive)
    yield from _scaled("fetcher", before.fetcher, after.fetcher)
    yield from _scaled("writer", before.writer, after.writer)
    yield from _scaled("archiver", before.archiver, after.archiver)


def _put_back(before: RedriveStatus | None, after: RedriveStatus | None) -> Iterator[JobEvent]:
    if after is None or after.completed_at is None:
        return
    if before is None or (before.id, before.completed_at) != (after.id, after.completed_at):
        count = "an unknown number of" if after.items is None else str(after.items)
        yield JobEvent("Redriven", f"redrive {after.id}: {count} items, {after.gone or 0} gone")


def _scaled(component: str, before: WorkersStatus, after: WorkersStatus) -> Iterator[JobEvent]:
    decision = after.scaling
    if decision is not None and decision.replicas != before.desired:
        change = f"{component}: {before.desired} to {decision.replicas} pods: {decision.reason}"
        yield JobEvent("Scaled", change)
