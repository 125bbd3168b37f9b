"""The progress of a run, decided by offsets alone.

    seed done ──▶ items end read ──▶ items drained ──▶ records end read ──▶ records drained

Each end is read once, after the step before it has ended, and kept in the status: a restart of the
operator goes on from there. A redrive puts items behind the ends: then they are read again.
"""

from collections.abc import Sequence
from datetime import datetime

from sluice_api.status import RunStatus
from sluice_operator.observed import TopicOffsets


def begin(uid: str, number: int, now: datetime) -> RunStatus:
    """Begin a job's run; its id is part of every seeded item's id."""
    return RunStatus(id=f"{uid[:8]}-{number}", started_at=now)


def advance(
    run: RunStatus,
    *,
    seeded: bool,
    ends: bool,
    items: TopicOffsets | None,
    records: Sequence[TopicOffsets | None],
    now: datetime,
) -> RunStatus:
    """Advance a run by what the offsets say.

    ``items`` must have been read after ``seeded`` was found true, and ``records`` after ``items``:
    records are acknowledged before their item is committed, so the records' end that is read after
    the items were drained holds them all. ``records`` is the topic as each group sees it that must
    have drained it: the writers', and the archivers' where there is an archive. ``ends`` tells
    whether the run ends at all (mode Once).
    """
    if run.items_end is None:
        if not seeded or items is None:
            return run
        since = run.seeded_at or now
        return run.model_copy(update={"seeded_at": since, "items_end": items.ends})
    if not ends or run.completed_at is not None or records[0] is None:
        return run
    if run.records_end is None:
        if items is None or not reached(items, run.items_end):
            return run
        return run.model_copy(update={"records_end": records[0].ends})
    if not all(each is not None and reached(each, run.records_end) for each in records):
        return run
    return run.model_copy(update={"completed_at": now})


def reopen(run: RunStatus) -> RunStatus:
    """Have a run end anew, because items are put back: its ends are read again after that."""
    changes = {"items_end": None, "records_end": None, "completed_at": None}
    return run.model_copy(update=changes)


def reached(offsets: TopicOffsets, end: tuple[int, ...]) -> bool:
    """Whether a group has consumed every message below the given end of each partition."""
    return all(at >= goal for at, goal in zip(offsets.position, end, strict=True))


def fraction(
    run: RunStatus, items: TopicOffsets | None, records: Sequence[TopicOffsets | None]
) -> float:
    """How much of a run is done, from 0 to 1: the share fetched times the least share written."""
    if run.completed_at is not None:
        return 1.0
    if run.items_end is None or items is None:
        return 0.0
    written = (
        0.0 if each is None else _share(each.position, run.records_end or each.ends)
        for each in records
    )
    return _share(items.position, run.items_end) * min(written)


def _share(position: tuple[int, ...], end: tuple[int, ...]) -> float:
    total = sum(end)
    done = sum(min(at, goal) for at, goal in zip(position, end, strict=True))
    return done / total if total else 1.0
