"""One look at a job, and everything that follows from it."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from sluice_api import names
from sluice_api.errors import DependencyError
from sluice_api.model import describe
from sluice_api.names import JobName
from sluice_api.source import Mode
from sluice_api.spec import IngestionJobSpec
from sluice_api.status import IngestionJobStatus, RunStatus
from sluice_operator import events, finalize, plan, redrive, run, scale, sink, topics
from sluice_operator.autoscaler import Decision
from sluice_operator.connections import Connections
from sluice_operator.kube import Kubernetes
from sluice_operator.metrics import JobMetrics
from sluice_operator.observe import Observer
from sluice_operator.observed import Job, Object, Observation, Progress, Role, roles
from sluice_operator.settings import OperatorSettings
from sluice_operator.status import Decided, status
from sluice_operator.trimming import Trimming
from sluice_workers.state import Trouble

ACTIVE: Final = 2.0
"""Seconds until the next look at a job that is at work."""
IDLE: Final = 30.0
"""Seconds until the next look at a job that is completed or suspended."""
MOUNTED: Final = frozenset({"ConfigMap", "Secret"})
"""Kinds that the pods of a job mount."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a job between two looks; losing it costs a scaling window."""

    decisions: Mapping[Role, Decision] = field(default_factory=dict)
    rates: Mapping[Role, float | None] = field(default_factory=dict)
    applied: tuple[tuple[str, str, str], ...] = ()
    """Kind/name, digest and version of each object as it was after we last applied it."""


class Reconciler:
    """Brings what is there to what the spec asks for. One call for a job at a time."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        observer: Observer,
        settings: OperatorSettings,
        metrics: JobMetrics,
    ) -> None:
        self._kubernetes = kubernetes
        self._observer = observer
        self._settings = settings
        self._metrics = metrics
        self._trimming = Trimming(kubernetes, observer)
        self._connections = Connections(kubernetes)
        self._memory: dict[JobName, Memory] = {}

    async def reconcile(self, name: JobName) -> float | None:
        """Look at a job once; return the seconds until the next look, None when it is gone."""
        raw = await self._kubernetes.get(names.KIND, name.namespace, name.name)
        if raw is None:
            await self._forget(name)
            return None
        try:
            job = _parsed(raw)
        except ValidationError as error:
            return await self._invalid(name, raw, error)
        if raw["metadata"].get("deletionTimestamp"):
            return await self._finalize(job, raw)
        finalizers = raw["metadata"].get("finalizers", [])
        if names.FINALIZER not in finalizers:
            await self._kubernetes.patch_finalizers(name, [*finalizers, names.FINALIZER])
        return await self._progress(job, raw)

    async def _progress(self, job: Job, raw: Object) -> float:
        seen = await self._observer.observe(job)
        job, troubles = await self._topics(job, seen)
        memory = self._memory.get(job.name, Memory())
        job = await self._redrive(job, seen)
        job, finished = await self._run(job, seen)
        stop = finished or job.spec.suspend
        if not stop and seen.migrate.progress is Progress.SUCCEEDED:
            seen = replace(seen, room=await self._connections.look(job))
        memory = _scaled(job, seen, memory, stop=stop)
        settings = self._settings
        want = plan.wanted(job, settings.worker_image, settings.allowed_addresses, seen.kafka)
        if want is not None and seen.partitions is not None:
            found = plan.plan(job, seen, want, memory.decisions)
            memory, refused = await self._apply(job, seen, found, memory)
            troubles += [*found.troubles, *refused]
        troubles += await self._trimming.look(job, seen)
        self._memory[job.name] = memory
        if not finished:
            troubles = [*seen.troubles, *troubles, *plan.pod_troubles(seen)]
        decided = Decided(
            topics=job.status.topics,
            run=job.status.run,
            redrive=job.status.redrive,
            troubles=() if finished else tuple(troubles),
            decisions=memory.decisions,
            rates=memory.rates,
        )
        await self._tell(_parsed(raw), raw, status(replace(job), seen, decided))
        return IDLE if finished or job.spec.suspend else ACTIVE

    async def _topics(self, job: Job, seen: Observation) -> tuple[Job, list[Trouble]]:
        """Mint generations, keep them in the status, then create the topics."""
        if seen.partitions is None or seen.kafka is None or _finished(job.status.run):
            return job, []
        found = topics.plan(job, seen.partitions, seen.now)
        troubles = list(found.troubles)
        before = job.status.topics
        if found.status != before:
            changes: dict[str, object] = {"topics": found.status}
            if _items_made_anew(before.items, found.status.items) and job.status.run:
                changes["run"] = _next_run(job, job.status.run, seen.now)
            job = await self._remember(job, changes)
        broker = self._observer.broker(seen.kafka)
        for topic in found.create:
            try:
                spec = job.spec.topics
                await broker.create(topic, spec.partitions, spec.replication_factor)
            except DependencyError as error:
                troubles.append(Trouble(reason=error.reason, message=str(error)))
        return job, troubles

    async def _redrive(self, job: Job, seen: Observation) -> Job:
        """Begin or end a redrive; a run that it puts items back for ends anew."""
        before, after = job.status.redrive, redrive.advance(job, seen.redrive, seen.now)
        if after == before:
            return job
        changes: dict[str, object] = {"redrive": after}
        begun, wish, found = redrive.under_way(after), job.spec.redrive, job.status.run
        if begun and wish is not None and not wish.dry_run and found is not None:
            changes["run"] = run.reopen(found)
        return await self._remember(job, changes)

    async def _run(self, job: Job, seen: Observation) -> tuple[Job, bool]:
        """Begin or advance the run; keep it in the status before anything follows from it."""
        before = job.status.run
        if before is None:
            return await self._remember(job, {"run": run.begin(job.uid, 1, seen.now)}), False
        external = job.spec.source.items_topic is not None
        mine = seen.seed.progress is Progress.SUCCEEDED and seen.seed.run == before.id
        seeded = external or mine or before.seeded_at is not None
        after = run.advance(
            before,
            seeded=seeded and not redrive.under_way(job.status.redrive),
            ends=job.spec.mode is Mode.ONCE,
            items=seen.items,
            records=seen.readers(job.spec),
            now=seen.now,
        )
        if after != before:
            job = await self._remember(job, {"run": after})
            await self._record(job, after, seen.failed or 0)
        return job, _finished(after)

    async def _remember(self, job: Job, changes: dict[str, object]) -> Job:
        """Write a part of the status at once: what follows must not be done without it."""
        part = IngestionJobStatus().model_copy(update=changes)
        content = part.model_dump(mode="json", by_alias=True, include=set(changes))
        await self._kubernetes.patch_status(job.name, content)
        return replace(job, status=job.status.model_copy(update=changes))

    async def _record(self, job: Job, after: RunStatus, failed: int) -> None:
        """Keep the history of runs in the sink: for people, so a failure is only logged."""
        try:
            if database := await sink.database(self._kubernetes, job):
                await sink.record_run(database, job, after, failed)
        except Exception as error:  # noqa: BLE001  history must not stop a job
            _LOG.info("sluice.runs was not written: %s", error, extra={"job": str(job.name)})

    async def _apply(
        self, job: Job, seen: Observation, found: plan.Plan, memory: Memory
    ) -> tuple[Memory, list[Trouble]]:
        """Apply what differs from what we applied last, or was changed since."""
        for kind, component in found.delete:
            name = job.name.resource(component)
            await self._kubernetes.delete(kind, job.name.namespace, name)
        before = {key: (digest, version) for key, digest, version in memory.applied}
        applied, troubles = [], []
        for body in found.apply:
            key = f"{body['kind']}/{body['metadata']['name']}"
            digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
            current = seen.existing.get(key)
            version = _version(current) if current else ""
            if before.get(key) != (digest, version):
                try:
                    made = await self._applied(job, body, current)
                except DependencyError as error:
                    troubles.append(Trouble(reason=error.reason, message=str(error)))
                    made = None
                if made is None and body["kind"] in MOUNTED:
                    break  # pods would start without it, or with that of another
                if made is None:
                    continue
                version = _version(made)
            applied.append((key, digest, version))
        return replace(memory, applied=tuple(applied)), troubles

    async def _applied(self, job: Job, body: Object, current: Object | None) -> Object | None:
        """Apply an object; return None while that of an earlier job is still there.

        Raises ``DependencyError`` when one of its name is somebody else's, or it is refused.
        """
        kind, name = body["kind"], body["metadata"]["name"]
        if current is None:
            current = await self._kubernetes.get(kind, job.name.namespace, name)
        if current is not None and plan.foreign(job, current):
            message = (
                f"{kind} {job.name.namespace}/{name} exists and is not this job's: it is left as it"
                " is. Rename it, or give the job another name"
            )
            raise DependencyError("ObjectExists", message)
        if current is not None and plan.left_over(job, current):
            return None
        return await self._kubernetes.apply(body)

    async def _tell(self, before: Job, raw: Object, after: IngestionJobStatus) -> None:
        """Write the status if it changed, and an event for each change that people care about."""
        content = after.model_dump(mode="json", by_alias=True)
        if content != before.status.model_dump(mode="json", by_alias=True):
            await self._kubernetes.patch_status(before.name, content)
        self._metrics.tell(before.name, after)
        for event in events.between(before.status, after):
            await self._kubernetes.event(raw, event.reason, event.message, warning=event.warning)

    async def _invalid(self, name: JobName, raw: Object, error: ValidationError) -> float:
        """Tell that a job cannot be read; the API server should have refused it."""
        message = f"the spec cannot be read: {describe(error)}: correct it and apply it again"
        _LOG.error("%s", message, extra={"job": str(name)})
        if raw["metadata"].get("deletionTimestamp"):
            await self._kubernetes.patch_finalizers(name, _without_ours(raw))
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "InvalidSpec",
            "message": message[:4096],
            "observedGeneration": raw["metadata"]["generation"],
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await self._kubernetes.patch_status(name, {"phase": "Degraded", "conditions": [condition]})
        return IDLE

    async def _finalize(self, job: Job, raw: Object) -> float | None:
        """Stop the pods, remove what is outside Kubernetes, let the job go."""
        if names.FINALIZER not in raw["metadata"].get("finalizers", []):
            return None
        if job.status.phase != "Terminating":
            await self._kubernetes.patch_status(job.name, {"phase": "Terminating"})
        late = finalize.out_of_patience(raw)
        if not await finalize.stop_pods(self._kubernetes, job) and not late:
            return 1.0
        kafka, redis_url = await self._observer.connections(job)
        broker = self._observer.broker(kafka) if kafka else None
        failures = await finalize.clean_up(self._kubernetes, job, broker, redis_url)
        if not (late or all(failure.final for failure in failures)):
            return ACTIVE
        for failure in failures:
            await self._kubernetes.event(raw, "CleanupIncomplete", failure.message, warning=True)
        await self._kubernetes.patch_finalizers(job.name, _without_ours(raw))
        await self._forget(job.name)
        return None

    async def _forget(self, name: JobName) -> None:
        self._memory.pop(name, None)
        self._trimming.forget(name)
        self._connections.forget(name)
        self._metrics.forget(name)
        await self._observer.forget(name)


def _parsed(raw: Object) -> Job:
    metadata = raw["metadata"]
    return Job(
        name=JobName(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=IngestionJobSpec.model_validate(raw["spec"]),
        status=IngestionJobStatus.model_validate(raw.get("status") or {}),
    )


def _without_ours(raw: Object) -> list[str]:
    return [each for each in raw["metadata"].get("finalizers", []) if each != names.FINALIZER]


def _finished(found: RunStatus | None) -> bool:
    return found is not None and found.completed_at is not None


def _items_made_anew(before: object, after: object) -> bool:
    return before is not None and before != after


def _next_run(job: Job, before: RunStatus, now: datetime) -> RunStatus:
    """Begin again: the items of the run before went with their topic."""
    return run.begin(job.uid, int(before.id.rpartition("-")[2]) + 1, now)


def _version(found: Object) -> str:
    """Return what changes when somebody changes an object: not its status, where it has one."""
    metadata = found["metadata"]
    return str(metadata.get("generation") or metadata["resourceVersion"])


def _scaled(job: Job, seen: Observation, memory: Memory, *, stop: bool) -> Memory:
    """Decide the numbers of pods, and remember the rates they were decided from."""
    mine = roles(job.spec)
    rates = {
        role: scale.rate_per_replica(seen.workers(role).states, memory.rates.get(role))
        for role in mine
    }
    if stop:
        stopped = Decision(0, "suspended" if job.spec.suspend else "the run is completed")
        return replace(memory, decisions=dict.fromkeys(mine, stopped), rates=rates)
    decisions = {
        role: scale.replicas(role, job, seen, memory.decisions.get(role), rates[role])
        for role in mine
    }
    return replace(memory, decisions=decisions, rates=rates)
