"""The redrive that a job's spec asks for, from wish to outcome. Pure functions."""

from datetime import datetime

from pydantic import ValidationError

from sluice_api.status import RedriveStatus
from sluice_operator.observed import Job, Progress, Task
from sluice_workers.state import RedriveReport


def advance(job: Job, task: Task, now: datetime) -> RedriveStatus | None:
    """Begin what is asked for, and note what its pod said at the end; the next status.

    A wish that is withdrawn ends when its pod does.
    """
    wish, before = job.spec.redrive, job.status.redrive
    if wish is not None and (before is None or before.id != wish.id):
        return RedriveStatus(id=wish.id, started_at=now)
    if before is None or before.completed_at is not None or task.progress is Progress.RUNNING:
        return before
    done = task.progress is Progress.SUCCEEDED and task.run == before.id
    if not done and wish is not None:
        return before
    report = _report(task.message) if done else None
    found = {"items": report.items, "gone": report.gone} if report is not None else {}
    return before.model_copy(update={"completed_at": now, **found})


def under_way(status: RedriveStatus | None) -> bool:
    """Whether items are being put back."""
    return status is not None and status.completed_at is None


def _report(message: str) -> RedriveReport | None:
    try:
        return RedriveReport.model_validate_json(message)
    except ValidationError:
        return None
