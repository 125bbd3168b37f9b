"""Looks at a job and its surroundings; everything that can fail becomes a trouble, not an error."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import aiohttp
from pydantic import ValidationError
from redis.asyncio import Redis

from sluice_api import names
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.names import JobName
from sluice_api.quantity import Quantity
from sluice_operator import redis_client
from sluice_operator.broker import Broker
from sluice_operator.kube import Kubernetes, decoded
from sluice_operator.observed import (
    VERBS,
    Job,
    NodeSize,
    Object,
    Observation,
    Progress,
    Role,
    Task,
    TopicOffsets,
    Workers,
    roles,
)
from sluice_operator.pods import pod_troubles, refused_pods
from sluice_operator.references import missing, references
from sluice_operator.resources import DIGEST, RUN
from sluice_operator.settings import OperatorSettings
from sluice_workers import failed_set
from sluice_workers.settings import PORT, KafkaConnection
from sluice_workers.state import PodState, Trouble

STATE_TIMEOUT: Final = aiohttp.ClientTimeout(total=2)


class Observer:
    """Reads what decisions are made from; keeps one broker client for each broker."""

    def __init__(
        self, kubernetes: Kubernetes, settings: OperatorSettings, http: aiohttp.ClientSession
    ) -> None:
        self._kubernetes = kubernetes
        self._settings = settings
        self._http = http
        self._brokers: dict[KafkaConnection, Broker] = {}
        self._used: dict[JobName, KafkaConnection] = {}

    def broker(self, connection: KafkaConnection) -> Broker:
        """Return the clients of a broker."""
        return self._brokers.setdefault(connection, Broker(connection))

    async def forget(self, job: JobName, now: KafkaConnection | None = None) -> None:
        """Close the clients that a job used, if it uses others ``now`` and nobody else does."""
        before = self._used.pop(job, None)
        if now is not None:
            self._used[job] = now
        if before is None or before in self._used.values():
            return
        if (broker := self._brokers.pop(before, None)) is not None:
            await broker.close()

    async def close(self) -> None:
        """Close every client."""
        for broker in self._brokers.values():
            await broker.close()

    async def observe(self, job: Job) -> Observation:
        """Look once at everything that concerns a job."""
        troubles = await self._missing(job)
        kafka, redis_url, wrong = await self._connections(job)
        troubles += wrong
        labels = f"{names.JOB_LABEL}={job.name.name}"
        space = job.name.namespace
        deployments, tasks, pods, nodes = await asyncio.gather(
            self._kubernetes.list_objects("Deployment", space, labels),
            self._kubernetes.list_objects("Job", space, labels),
            self._kubernetes.list_objects("Pod", space, labels),
            self._kubernetes.list_objects("Node", None),
        )
        maps = await self._settings_objects(job)
        partitions, offsets = None, dict[Role, TopicOffsets]()
        if kafka is not None:
            await self.forget(job.name, kafka)
            try:
                partitions, offsets = await self._offsets(job, self.broker(kafka))
            except DependencyError as error:
                troubles.append(Trouble(reason=error.reason, message=str(error)))
        failed = None
        if redis_url is not None:
            failed, unreachable = await self._failed(job, redis_url)
            troubles += unreachable
        return Observation(
            now=datetime.now(UTC),
            troubles=tuple(troubles),
            kafka=kafka,
            redis_url=redis_url,
            partitions=partitions,
            items=offsets.get(Role.FETCHER),
            records=offsets.get(Role.WRITER),
            archived=offsets.get(Role.ARCHIVER),
            migrate=_task(tasks, pods, "migrate"),
            seed=_task(tasks, pods, "seed"),
            redrive=_task(tasks, pods, "redrive"),
            fetcher=await self._workers(deployments, pods, Role.FETCHER),
            writer=await self._workers(deployments, pods, Role.WRITER),
            archiver=await self._workers(deployments, pods, Role.ARCHIVER),
            failed=failed,
            nodes=tuple(_size(node) for node in nodes if not node["spec"].get("unschedulable")),
            existing={
                **{f"Deployment/{_name(found)}": found for found in deployments},
                **{f"Job/{_name(found)}": found for found in tasks},
                **maps,
            },
        )

    async def connections(self, job: Job) -> tuple[KafkaConnection | None, str | None]:
        """Return a job's broker and Redis; None where its Secret is missing or wrong."""
        kafka, redis_url, _troubles = await self._connections(job)
        return kafka, redis_url

    async def _missing(self, job: Job) -> list[Trouble]:
        found = []
        for reference in references(job.spec):
            target = await self._kubernetes.get(reference.kind, job.name.namespace, reference.name)
            keys = frozenset(target.get("data") or {}) if target is not None else None
            if trouble := missing(reference, job.name, keys):
                found.append(trouble)
        return found

    async def _connections(
        self, job: Job
    ) -> tuple[KafkaConnection | None, str | None, list[Trouble]]:
        kafka: KafkaConnection | None = None
        redis_url: str | None = None
        troubles = []
        given = job.spec.connections
        if given.kafka is None or given.redis is None:
            try:
                own = self._settings.connections()
                kafka, redis_url = own.kafka, own.redis_url
            except ConfigurationError as error:
                message = f"the operator's own connections: {error}"
                troubles.append(Trouble(reason="InvalidConnections", message=message))
        if given.kafka is not None:
            kafka = None
            try:
                if data := await self._secret(job, given.kafka.name):
                    where = f"Secret {job.name.namespace}/{given.kafka.name}"
                    kafka = KafkaConnection.parse(data, where)
            except ConfigurationError as error:
                troubles.append(Trouble(reason="InvalidSecret", message=str(error)))
        if given.redis is not None:
            redis_url = (await self._secret(job, given.redis.name) or {}).get("url")
        return kafka, redis_url, troubles

    async def _secret(self, job: Job, name: str) -> dict[str, str] | None:
        found = await self._kubernetes.get("Secret", job.name.namespace, name)
        return decoded(found) if found is not None else None

    async def _settings_objects(self, job: Job) -> dict[str, Object]:
        named = (
            ("ConfigMap", job.name.resource("settings")),
            ("Secret", job.name.resource("connections")),
        )
        found = {
            f"{kind}/{name}": await self._kubernetes.get(kind, job.name.namespace, name)
            for kind, name in named
        }
        return {key: each for key, each in found.items() if each is not None}

    async def _offsets(
        self, job: Job, broker: Broker
    ) -> tuple[dict[str, int], dict[Role, TopicOffsets]]:
        items = job.spec.source.items_topic or job.name.topic("items")
        records = job.name.topic("records")
        partitions = await broker.partitions([items, records, job.name.topic("dead")])
        found = {}
        for role in (Role.FETCHER, *roles(job.spec)):
            topic = items if role is Role.FETCHER else records
            if topic in partitions:
                group = job.name.group(VERBS[role])
                found[role] = await broker.offsets(topic, partitions[topic], group)
        return partitions, found

    async def _failed(self, job: Job, url: str) -> tuple[int | None, list[Trouble]]:
        dead = job.status.topics.dead
        if dead is None:
            return None, []
        try:
            async with redis_client.connected(url) as client:
                return await _count(client, failed_set.redis_key(job.name, dead.generation)), []
        except (ConfigurationError, DependencyError) as error:
            reason = error.reason if isinstance(error, DependencyError) else "InvalidSecret"
            message = f"{error}: check spec.connections.redis or the operator's"
            return None, [Trouble(reason=reason, message=message)]

    async def _workers(
        self, deployments: Sequence[Object], pods: Sequence[Object], component: str
    ) -> Workers:
        mine = [pod for pod in pods if _component(pod) == component]
        found = next((each for each in deployments if _component(each) == component), None)
        if found is None:
            return Workers()
        states = await asyncio.gather(*(self._state(pod) for pod in mine))
        return Workers(
            exists=True,
            desired=found["spec"].get("replicas", 0),
            ready=found.get("status", {}).get("readyReplicas", 0),
            states=tuple(state for state in states if state is not None),
            troubles=(
                *refused_pods(found),
                *(trouble for pod in mine for trouble in pod_troubles(pod)),
            ),
        )

    async def _state(self, pod: Object) -> PodState | None:
        address = pod.get("status", {}).get("podIP")
        if not address or pod["status"].get("phase") != "Running":
            return None
        try:
            url = f"http://{address}:{PORT}/state"
            async with self._http.get(url, timeout=STATE_TIMEOUT) as answer:
                return PodState.model_validate_json(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValidationError):
            return None


async def _count(client: Redis, key: str) -> int | None:
    """Return how many keys have failed; None while Redis's copy of them is not complete."""
    async with client.pipeline(transaction=True) as asked:
        asked.hget(key, failed_set.STATE)
        asked.hlen(key)
        state, length = await asked.execute()
    return int(length) - 1 if state == failed_set.COMPLETE else None


def _name(found: Object) -> str:
    name: str = found["metadata"]["name"]
    return name


def _component(found: Object) -> str | None:
    label: str | None = found["metadata"].get("labels", {}).get(names.COMPONENT_LABEL)
    return label


def _task(tasks: Sequence[Object], pods: Sequence[Object], component: str) -> Task:
    found = next((task for task in tasks if _component(task) == component), None)
    if found is None:
        return Task()
    annotations = found["metadata"].get("annotations", {})
    ended = {
        condition["type"]: condition
        for condition in found.get("status", {}).get("conditions", ())
        if condition["status"] == "True"
    }
    progress, at = Progress.RUNNING, None
    if complete := ended.get("Complete"):
        progress, at = Progress.SUCCEEDED, complete["lastTransitionTime"]
    elif failed := ended.get("Failed"):
        progress, at = Progress.FAILED, failed["lastTransitionTime"]
    mine = [pod for pod in pods if _component(pod) == component]
    return Task(
        progress=progress,
        run=annotations.get(RUN),
        digest=annotations.get(DIGEST),
        at_work=any(pod.get("status", {}).get("phase") == "Running" for pod in mine),
        message=_last_words(mine) if ended else "",
        ended_at=datetime.fromisoformat(at) if at else None,
        troubles=tuple(trouble for pod in mine for trouble in pod_troubles(pod))
        if progress is Progress.RUNNING
        else (),
    )


def _last_words(pods: Sequence[Object]) -> str:
    """What the newest pod of a Job that ended left as its termination message."""
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True):
        for container in pod.get("status", {}).get("containerStatuses", ()):
            message = container.get("state", {}).get("terminated", {}).get("message", "").strip()
            if message:
                return str(message.splitlines()[-1])[:1000]
    return "its pod left no message: see its log"


def _size(node: Object) -> NodeSize:
    allocatable = node["status"]["allocatable"]
    return NodeSize(
        cpu=Quantity(allocatable["cpu"]).number, memory=Quantity(allocatable["memory"]).number
    )
