"""What shall be there: the objects of a job and those to make anew. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sluice_api import names
from sluice_operator import redrive, resources, sizing
from sluice_operator.autoscaler import Decision
from sluice_operator.observed import Job, Object, Observation, Progress, Role, Task
from sluice_operator.worker_settings import Wanted, mark
from sluice_workers.settings import KafkaConnection, Topic
from sluice_workers.state import Trouble

RETRY_AFTER: Final = timedelta(seconds=10)
"""How long a failed Job stays, for people to look at, before it is made anew."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Objects to apply, and those (kind and component) to delete.

    Jobs go because they must be made anew, Deployments because the spec wants them no more.
    """

    apply: tuple[Object, ...] = ()
    delete: tuple[tuple[str, str], ...] = ()
    troubles: tuple[Trouble, ...] = field(default=())


def wanted(
    job: Job,
    image: str,
    allowed_addresses: tuple[str, ...] = (),
    kafka: KafkaConnection | None = None,
) -> Wanted | None:
    """Return what pods are rendered from, once every topic has a generation."""
    topics, run = job.status.topics, job.status.run
    if topics.items is None or topics.records is None or topics.dead is None or run is None:
        return None
    given, own = job.spec.connections, job.name.resource("connections")
    return Wanted(
        image=image,
        items=Topic(**topics.items.model_dump()),
        records=Topic(**topics.records.model_dump()),
        dead=Topic(**topics.dead.model_dump()),
        run=run.id,
        kafka_secret=given.kafka.name if given.kafka else own,
        redis_secret=given.redis.name if given.redis else own,
        allowed_addresses=allowed_addresses,
        kafka_mark="" if kafka is None else mark(kafka),
    )


def base(job: Job, seen: Observation, want: Wanted) -> list[Object]:
    """Return what every pod of the job mounts: connections and settings."""
    found = [resources.settings_map(job, want)]
    own = job.name.resource("connections") in (want.kafka_secret, want.redis_secret)
    if own and seen.kafka is not None and seen.redis_url is not None:
        found.append(resources.connections(job, seen.kafka, seen.redis_url))
    return found


def plan(job: Job, seen: Observation, want: Wanted, decisions: Mapping[Role, Decision]) -> Plan:
    """Plan the objects of a job whose topics exist.

    What mounts a Secret that is missing is not made, but left as it is where it runs already.
    """
    found = [*base(job, seen, want)]
    blocked = any(trouble.reason.endswith(("NotFound", "Missing")) for trouble in seen.troubles)
    troubles: list[Trouble] = []
    delete = [
        ("Deployment", role.value)
        for role in set(Role).difference(decisions)
        if f"Deployment/{job.name.resource(role)}" in seen.existing
    ]
    for component, task, body in _tasks(job, seen, want):
        if _must_go(task, body, seen):
            delete.append(("Job", component))
        elif task.progress is Progress.ABSENT and not blocked:
            found.append(body)
    migrated = seen.migrate.progress is Progress.SUCCEEDED
    for role, decision in decisions.items():
        body = resources.workers(role, job, want, decision.replicas)
        exists = f"Deployment/{body['metadata']['name']}" in seen.existing
        misfit = sizing.misfit(sizing.workers(role, job.spec), seen.nodes)
        # A writer's new columns must be in the table before its new pods are.
        early = role is Role.WRITER and decision.replicas and not migrated
        if misfit is not None:
            troubles.append(Trouble(reason="DoesNotFit", message=f"{role}: {misfit}"))
        elif (exists or not blocked) and not early:
            found.append(body)
    return Plan(tuple(found), tuple(delete), tuple(troubles))


def foreign(job: Job, found: Object) -> bool:
    """Whether an object of the name of one of ours is somebody else's."""
    metadata = found["metadata"]
    labelled = (metadata.get("labels") or {}).get(names.JOB_LABEL) == job.name.name
    return not labelled and job.uid not in _owners(found)


def left_over(job: Job, found: Object) -> bool:
    """Whether an object is that of an earlier job of this name, and about to be deleted."""
    owners = _owners(found)
    return bool(owners) and job.uid not in owners


def _owners(found: Object) -> list[str]:
    return [owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()]


def _tasks(job: Job, seen: Observation, want: Wanted) -> list[tuple[str, Task, Object]]:
    found = [("migrate", seen.migrate, resources.migrate_job(job, want))]
    seed, run = resources.seed_job(job, want), job.status.run
    if seed is not None and run is not None and run.seeded_at is None:
        found.append(("seed", seen.seed, seed))
    putting_back = resources.redrive_job(job, want)
    if putting_back is not None and redrive.under_way(job.status.redrive):
        found.append(("redrive", seen.redrive, putting_back))
    return found


def _must_go(task: Task, body: Object, seen: Observation) -> bool:
    """Whether a Job was made from other settings, or has failed long enough ago."""
    if task.progress is Progress.ABSENT:
        return False
    if task.digest != body["metadata"]["annotations"][resources.DIGEST]:
        return True
    failed = task.progress is Progress.FAILED and task.ended_at is not None
    return failed and task.ended_at is not None and seen.now - task.ended_at > RETRY_AFTER


def pod_troubles(seen: Observation) -> list[Trouble]:
    """Return what the job's processes and failed Jobs say is wrong."""
    workers = [seen.workers(role) for role in Role]
    found = [
        process.trouble
        for each in workers
        for state in each.states
        for process in state.processes
        if process.trouble is not None
    ]
    pods = [*seen.migrate.troubles, *seen.seed.troubles]
    found += [*pods, *(trouble for each in workers for trouble in each.troubles)]
    if seen.migrate.progress is Progress.FAILED:
        found.append(Trouble(reason="MigrationFailed", message=seen.migrate.message))
    if seen.seed.progress is Progress.FAILED:
        found.append(Trouble(reason="SeedFailed", message=seen.seed.message))
    if seen.redrive.progress is Progress.FAILED:
        found.append(Trouble(reason="RedriveFailed", message=seen.redrive.message))
    return found
