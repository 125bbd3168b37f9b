"""The Kubernetes objects of a job: pure functions of its spec, status and numbers of pods."""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel

from sluice_api import names
from sluice_api.sink import Migrations
from sluice_api.spec import Resources
from sluice_operator import sizing
from sluice_operator.observed import Job, Object
from sluice_workers.settings import (
    DEFAULT_FOLDER,
    PORT,
    FetcherSettings,
    KafkaConnection,
    MigrateSettings,
    SeedSettings,
    Topic,
    WriterSettings,
)

DIGEST: Final = "sluice.dev/settings-digest"
RUN: Final = "sluice.dev/run"
USER: Final = 65532
GRACE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the pods are rendered from besides the job itself."""

    image: str
    items: Topic
    records: Topic
    dead: Topic
    run: str
    kafka_secret: str
    redis_secret: str
    allowed_addresses: tuple[str, ...] = ()
    """Networks that requests may go to although they are loopback or link-local."""


def connections(job: Job, kafka: KafkaConnection, redis_url: str) -> Object:
    """Return the Secret by which a job's pods use the operator's own broker and Redis."""
    given = kafka.model_dump(by_alias=True, exclude_none=True) | {"url": redis_url}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in given.items()}
    return _object(job, "v1", "Secret", "connections", {"type": "Opaque", "data": data})


def settings(job: Job, wanted: Wanted) -> dict[str, BaseModel]:
    """Return the configuration of each role."""
    base = {"namespace": job.name.namespace, "name": job.name.name, "uid": job.uid}
    source, sink, codec = job.spec.source, job.spec.sink.postgres, job.spec.topics.compression
    return {
        "migrate": MigrateSettings(**base, sink=sink),
        "seed": SeedSettings(
            **base, run=wanted.run, items=source.items, topic=wanted.items, compression=codec
        ),
        "fetcher": FetcherSettings(
            **base,
            items=wanted.items,
            records=wanted.records,
            dead=wanted.dead,
            compression=codec,
            http=source.http,
            handler=source.handler,
            proxies=source.proxies,
            max_connections=source.max_connections,
            allowed_addresses=wanted.allowed_addresses,
            retry=source.retry,
            circuit_breaker=source.circuit_breaker,
            rate_limit=source.rate_limit,
            processes=job.spec.fetcher.processes,
            concurrency=job.spec.fetcher.concurrency,
            window=job.spec.fetcher.window,
        ),
        "writer": WriterSettings(
            **base,
            records=wanted.records,
            dead=wanted.dead,
            compression=codec,
            # Writers have nothing to do with how the table came to be: a change rolls none.
            sink=sink.model_copy(update={"migrations": Migrations()}),
            batch=job.spec.batch,
        ),
    }


def settings_map(job: Job, wanted: Wanted) -> Object:
    """Return the ConfigMap that holds the configuration of each role."""
    data = {f"{role}.json": _json(model) for role, model in settings(job, wanted).items()}
    return _object(job, "v1", "ConfigMap", "settings", {"data": data})


def digest(job: Job, wanted: Wanted, role: str) -> str:
    """Return what changes when a role's pods must be made anew."""
    text = _json(settings(job, wanted)[role]) + wanted.kafka_secret + wanted.redis_secret
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def migrate_job(job: Job, wanted: Wanted) -> Object:
    """Return the Job that brings the sink's schema to its newest revision."""
    mounts = [_mount("settings"), _mount("sink")]
    volumes = [
        _settings_volume(job),
        _secret_volume("sink", job.spec.sink.postgres.secret_ref.name),
    ]
    image = job.spec.sink.postgres.migrations.image or wanted.image
    return _task(job, replace(wanted, image=image), "migrate", "migrate", mounts, volumes)


def seed_job(job: Job, wanted: Wanted) -> Object | None:
    """Return the Job that writes the items, unless somebody else fills the topic."""
    items = job.spec.source.items
    if items.topic is not None:
        return None
    mounts = [_mount("settings"), _mount("kafka")]
    volumes = [_settings_volume(job), _secret_volume("kafka", wanted.kafka_secret)]
    if items.config_map is not None:
        mounts.append(_mount("items"))
        volumes.append({"name": "items", "configMap": {"name": items.config_map.name}})
    if items.postgres is not None:
        mounts.append(_mount("source"))
        volumes.append(_secret_volume("source", items.postgres.secret_ref.name))
    return _task(job, wanted, "seed", "seed", mounts, volumes)


def fetcher(job: Job, wanted: Wanted, replicas: int) -> Object:
    """Return the Deployment of the pods that call the API."""
    mounts = [_mount("settings"), _mount("kafka"), _mount("redis")]
    volumes = [
        _settings_volume(job),
        _secret_volume("kafka", wanted.kafka_secret),
        _secret_volume("redis", wanted.redis_secret),
    ]
    http, handler = job.spec.source.http, job.spec.source.handler
    if http is not None and http.headers_from is not None:
        mounts.append(_mount("headers"))
        volumes.append(_secret_volume("headers", http.headers_from.name))
    if http is not None and http.auth is not None:
        mounts.append(_mount("auth"))
        volumes.append(_secret_volume("auth", http.auth.secret[0]))
    if (proxies := job.spec.source.proxies) is not None:
        mounts.append(_mount("proxies"))
        volumes.append(_secret_volume("proxies", proxies.secret_ref.name))
    if handler is not None and handler.secret_ref is not None:
        mounts.append(_mount("handler"))
        volumes.append(_secret_volume("handler", handler.secret_ref.name))
    container = _container("fetch", job.spec.fetcher.image or wanted.image)
    container |= {
        "volumeMounts": [*mounts, _TMP],
        "resources": _dump(sizing.fetcher(job.spec.fetcher)),
    }
    return _deployment(job, "fetcher", replicas, container, volumes, digest(job, wanted, "fetcher"))


def writer(job: Job, wanted: Wanted, replicas: int) -> Object:
    """Return the Deployment of the pods that write to the sink."""
    mounts = [_mount("settings"), _mount("kafka"), _mount("redis"), _mount("sink")]
    volumes = [
        _settings_volume(job),
        _secret_volume("kafka", wanted.kafka_secret),
        _secret_volume("redis", wanted.redis_secret),
        _secret_volume("sink", job.spec.sink.postgres.secret_ref.name),
    ]
    container = _container("write", job.spec.writer.image or wanted.image)
    needs = sizing.writer(job.spec.writer, job.spec.batch)
    container |= {"volumeMounts": [*mounts, _TMP], "resources": _dump(needs)}
    return _deployment(job, "writer", replicas, container, volumes, digest(job, wanted, "writer"))


def owner(job: Job) -> Object:
    """Return the reference by which Kubernetes deletes a job's objects with it."""
    return {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": names.KIND,
        "name": job.name.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


_TMP: Final = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  a path in the container


def _json(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json", by_alias=True), sort_keys=True)


def _dump(resources: Resources) -> Object:
    return {key: value for key, value in resources.model_dump(mode="json").items() if value}


def _object(
    job: Job, api_version: str, kind: str, component: str, content: dict[str, Any]
) -> Object:
    metadata = {
        "name": job.name.resource(component),
        "namespace": job.name.namespace,
        "labels": _labels(job, component),
        "ownerReferences": [owner(job)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _labels(job: Job, component: str) -> dict[str, str]:
    return {
        names.JOB_LABEL: job.name.name,
        names.COMPONENT_LABEL: component,
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
    }


def _mount(name: str) -> Object:
    return {"name": name, "mountPath": f"{DEFAULT_FOLDER}/{name}", "readOnly": True}


def _settings_volume(job: Job) -> Object:
    return {"name": "settings", "configMap": {"name": job.name.resource("settings")}}


def _secret_volume(name: str, secret: str) -> Object:
    return {"name": name, "secret": {"secretName": secret}}


def _container(command: str, image: str) -> Object:
    return {
        "name": command,
        "image": image,
        "args": [command, "--folder", str(DEFAULT_FOLDER)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _pod(container: Object, volumes: list[Object]) -> Object:
    return {
        "automountServiceAccountToken": False,
        # Variables for every Service of the namespace would only be in the way.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
    }


def _task(
    job: Job,
    wanted: Wanted,
    component: str,
    command: str,
    mounts: list[Object],
    volumes: list[Object],
) -> Object:
    container = _container(command, wanted.image)
    container |= {"volumeMounts": [*mounts, _TMP], "resources": _dump(sizing.task())}
    annotations = {DIGEST: digest(job, wanted, component), RUN: wanted.run}
    template = {
        "metadata": {"labels": _labels(job, component)},
        "spec": _pod(container, volumes) | {"restartPolicy": "Never"},
    }
    spec = {"backoffLimit": 0, "template": template}
    found = _object(job, "batch/v1", "Job", component, {"spec": spec})
    found["metadata"]["annotations"] = annotations
    return found


def _deployment(
    job: Job, component: str, replicas: int, container: Object, volumes: list[Object], settings: str
) -> Object:
    container |= {
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": _probe("/livez", period=1, failures=60),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
    }
    template = {
        "metadata": {"labels": _labels(job, component), "annotations": {DIGEST: settings}},
        "spec": _pod(container, volumes),
    }
    # Each pod that comes or goes stops the whole group for a moment: none is added only to be
    # taken away again, and half of them change at a time.
    rolling = {"maxSurge": 0, "maxUnavailable": "50%"}
    spec = {
        "replicas": replicas,
        "selector": {
            "matchLabels": {names.JOB_LABEL: job.name.name, names.COMPONENT_LABEL: component}
        },
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": template,
    }
    return _object(job, "apps/v1", "Deployment", component, {"spec": spec})


def _probe(path: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
