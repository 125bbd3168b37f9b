"""The status of a job: a pure function of what was seen and decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice_api.source import Mode
from sluice_api.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    IngestionJobStatus,
    LagStatus,
    Phase,
    RedriveStatus,
    RunStatus,
    ScalingDecision,
    TopicsStatus,
    WorkersStatus,
)
from sluice_operator.autoscaler import Decision
from sluice_operator.observed import Job, Observation, Progress, Role, Task, roles
from sluice_operator.run import fraction
from sluice_workers.state import Trouble


@dataclass(frozen=True, slots=True)
class Decided:
    """What a reconciliation decided, for the status to tell."""

    topics: TopicsStatus
    run: RunStatus | None
    redrive: RedriveStatus | None = None
    troubles: tuple[Trouble, ...] = ()
    decisions: Mapping[Role, Decision] = field(default_factory=dict)
    rates: Mapping[Role, float | None] = field(default_factory=dict)
    """Messages a second that one pod of a role was seen to consume."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition without its times."""

    type: ConditionType
    holds: bool
    reason: str
    message: str = ""


def status(job: Job, seen: Observation, decided: Decided) -> IngestionJobStatus:
    """Return the whole status; times are kept where nothing changed."""
    verdicts = _verdicts(job, seen, decided)
    before = job.status
    fetcher = _workers(before.fetcher, Role.FETCHER, seen, decided)
    writer = _workers(before.writer, Role.WRITER, seen, decided)
    return IngestionJobStatus(
        observed_generation=job.generation,
        phase=_phase(job, decided, verdicts),
        progress=_progress(job, seen, decided),
        lag=fetcher.lag.total + writer.lag.total,
        fetchers=f"{fetcher.ready}/{fetcher.desired}",
        writers=f"{writer.ready}/{writer.desired}",
        failed=before.failed if seen.failed is None else seen.failed,
        conditions=tuple(_conditions(job, verdicts, seen.now)),
        topics=decided.topics,
        run=decided.run,
        redrive=decided.redrive,
        fetcher=fetcher,
        writer=writer,
        archiver=_workers(before.archiver, Role.ARCHIVER, seen, decided),
    )


def _phase(job: Job, decided: Decided, verdicts: list[Verdict]) -> Phase:
    holds = {verdict.type: verdict.holds for verdict in verdicts}
    run = decided.run
    if run is not None and run.completed_at is not None:
        return Phase.COMPLETED
    if job.spec.suspend:
        return Phase.SUSPENDED
    if holds[ConditionType.DEGRADED]:
        return Phase.DEGRADED
    if not (holds[ConditionType.TOPICS_READY] and holds[ConditionType.MIGRATIONS_READY]):
        return Phase.PENDING
    if run is None or run.seeded_at is None:
        return Phase.SEEDING
    return Phase.RUNNING


def _progress(job: Job, seen: Observation, decided: Decided) -> str:
    if job.spec.mode is not Mode.ONCE or decided.run is None:
        return ""
    if seen.partitions is None and decided.run.completed_at is None:
        return job.status.progress
    return f"{int(fraction(decided.run, seen.items, seen.readers(job.spec)) * 100)}%"


def _verdicts(job: Job, seen: Observation, decided: Decided) -> list[Verdict]:
    run = decided.run
    completed = run is not None and run.completed_at is not None
    found = [
        _topics_ready(seen, decided),
        _task("MigrationsReady", seen.migrate, "the sink's schema is at its newest revision"),
        _seeded(run, seen.seed),
        _workers_ready(job, seen, completed=completed),
        _scaling(job, seen, decided),
        _degraded(decided),
        _completed(run),
    ]
    return [*found, _ready(job, found)]


def _topics_ready(seen: Observation, decided: Decided) -> Verdict:
    kind, topics = ConditionType.TOPICS_READY, decided.topics
    wanted = [topic for topic in (topics.items, topics.records, topics.dead) if topic]
    if seen.partitions is None:
        return Verdict(kind, False, "BrokerUnreachable", "the broker has not answered yet")
    absent = [topic.name for topic in wanted if topic.name not in seen.partitions]
    if not wanted or absent:
        return Verdict(kind, False, "Creating", f"waiting for {', '.join(absent) or 'the topics'}")
    return Verdict(kind, True, "Created", ", ".join(topic.name for topic in wanted))


def _task(kind: str, task: Task, done: str) -> Verdict:
    match task.progress:
        case Progress.SUCCEEDED:
            return Verdict(ConditionType(kind), True, "Succeeded", done)
        case Progress.FAILED:
            return Verdict(ConditionType(kind), False, "Failed", task.message)
        case Progress.RUNNING if not task.at_work:
            return Verdict(ConditionType(kind), False, "Starting", "its pod does not run yet")
        case Progress.RUNNING:
            return Verdict(ConditionType(kind), False, "Running", "its pod is at work")
        case Progress.ABSENT:
            return Verdict(ConditionType(kind), False, "Waiting", "not started yet")


def _seeded(run: RunStatus | None, seed: Task) -> Verdict:
    if run is not None and run.seeded_at is not None:
        total = sum(run.items_end or ())
        return Verdict(ConditionType.SEEDED, True, "Seeded", f"the items topic ends at {total}")
    return _task("Seeded", seed, "every item is in the items topic")


def _workers_ready(job: Job, seen: Observation, *, completed: bool) -> Verdict:
    kind = ConditionType.WORKERS_READY
    if completed:
        return Verdict(kind, True, "NotNeeded", "the run is completed")
    if job.spec.suspend:
        return Verdict(kind, False, "Suspended", "spec.suspend is true")
    workers = [seen.workers(role) for role in Role]
    if troubles := [trouble for each in workers for trouble in each.troubles]:
        return Verdict(kind, False, troubles[0].reason, troubles[0].message)
    wanted = sum(each.desired for each in workers)
    ready = sum(each.ready for each in workers)
    if ready < wanted:
        return Verdict(kind, False, "Starting", f"{ready} of {wanted} pods are ready")
    return Verdict(kind, True, "Ready", f"{ready} pods are ready")


def _scaling(job: Job, seen: Observation, decided: Decided) -> Verdict:
    kind = ConditionType.SCALING
    if any(seen.offsets(role) is None for role in roles(job.spec)):
        return Verdict(kind, False, "LagUnknown", "the lag could not be read: nothing is scaled")
    bounds = [f"{role}: {each.bound}" for role, each in decided.decisions.items() if each.bound]
    if bounds:
        return Verdict(kind, True, "Bounded", "; ".join(bounds))
    return Verdict(kind, True, "Active", "pods follow the lag")


def _degraded(decided: Decided) -> Verdict:
    if not decided.troubles:
        return Verdict(ConditionType.DEGRADED, False, "AsExpected")
    messages = dict.fromkeys(trouble.message for trouble in decided.troubles)
    return Verdict(
        ConditionType.DEGRADED, True, decided.troubles[0].reason, "; ".join(messages)[:4000]
    )


def _completed(run: RunStatus | None) -> Verdict:
    kind = ConditionType.COMPLETED
    if run is None or run.completed_at is None:
        return Verdict(kind, False, "InProgress")
    took = (run.completed_at - run.started_at).total_seconds()
    return Verdict(kind, True, "Drained", f"run {run.id} took {took:.0f} s")


def _ready(job: Job, found: list[Verdict]) -> Verdict:
    """Sum the other conditions up: the first that speaks against it gives the reason."""
    kind = ConditionType.READY
    by_type = {verdict.type: verdict for verdict in found}
    if by_type[ConditionType.COMPLETED].holds:
        return Verdict(kind, True, "Completed", by_type[ConditionType.COMPLETED].message)
    if by_type[ConditionType.DEGRADED].holds:
        verdict = by_type[ConditionType.DEGRADED]
        return Verdict(kind, False, verdict.reason, verdict.message)
    if job.spec.suspend:
        return Verdict(kind, False, "Suspended", "spec.suspend is true")
    for needed in (
        ConditionType.TOPICS_READY,
        ConditionType.MIGRATIONS_READY,
        ConditionType.SEEDED,
        ConditionType.WORKERS_READY,
    ):
        verdict = by_type[needed]
        if not verdict.holds:
            return Verdict(kind, False, f"{needed}{verdict.reason}", verdict.message)
    return Verdict(kind, True, "Running", "items are fetched and records written")


def _conditions(job: Job, verdicts: list[Verdict], now: datetime) -> Iterable[Condition]:
    before = {condition.type: condition for condition in job.status.conditions}
    for verdict in verdicts:
        value = ConditionStatus.TRUE if verdict.holds else ConditionStatus.FALSE
        old = before.get(verdict.type)
        since = old.last_transition_time if old and old.status is value else now
        yield Condition(
            type=verdict.type,
            status=value,
            reason=verdict.reason,
            message=verdict.message[:4096],
            observed_generation=job.generation,
            last_transition_time=since,
        )


def _workers(
    before: WorkersStatus, role: Role, seen: Observation, decided: Decided
) -> WorkersStatus:
    workers, offsets = seen.workers(role), seen.offsets(role)
    decision, scaling = decided.decisions.get(role), before.scaling
    if decision is not None:
        scaling = _decision(before, decision, decided.rates.get(role), seen.now)
    desired = workers.desired if decision is None else decision.replicas
    return WorkersStatus(
        desired=desired,
        ready=min(workers.ready, desired),
        lag=before.lag if offsets is None else _lag(offsets.lag),
        scaling=scaling,
    )


def _lag(lag: tuple[int, ...]) -> LagStatus:
    worst = max(range(len(lag)), key=lag.__getitem__, default=None)
    if worst is None or not lag[worst]:
        return LagStatus()
    return LagStatus(total=sum(lag), worst_partition=worst, worst=lag[worst])


def _decision(
    before: WorkersStatus, decision: Decision, rate: float | None, now: datetime
) -> ScalingDecision:
    """Keep the last decision's reason and inputs for as long as the number stays."""
    old = before.scaling
    if old is not None and old.replicas == decision.replicas and old.bound == decision.bound:
        return old
    return ScalingDecision(
        replicas=decision.replicas,
        reason=decision.reason,
        bound=decision.bound,
        lag=before.lag.total,
        rate_per_replica=rate,
        decided_at=now,
    )
