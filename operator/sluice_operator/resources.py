"""The Kubernetes objects of a job: pure functions of its spec, status and numbers of pods."""

import base64
from dataclasses import replace
from typing import Any, Final

from sluice_api import names
from sluice_api.spec import IngestionJobSpec, Resources
from sluice_operator import sizing
from sluice_operator.observed import VERBS, Job, Object, Role
from sluice_operator.worker_settings import Wanted, digest, texts
from sluice_workers.settings import DEFAULT_FOLDER, PORT, KafkaConnection

DIGEST: Final = "sluice.dev/settings-digest"
RUN: Final = "sluice.dev/run"
USER: Final = 65532
GRACE_SECONDS: Final = 30


def connections(job: Job, kafka: KafkaConnection, redis_url: str) -> Object:
    """Return the Secret by which a job's pods use the operator's own broker and Redis."""
    given = kafka.model_dump(by_alias=True, exclude_none=True) | {"url": redis_url}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in given.items()}
    return _object(job, "v1", "Secret", "connections", {"type": "Opaque", "data": data})


def settings_map(job: Job, wanted: Wanted) -> Object:
    """Return the ConfigMap that holds the configuration of each role."""
    data = {f"{role}.json": text for role, text in texts(job, wanted).items()}
    return _object(job, "v1", "ConfigMap", "settings", {"data": data})


def migrate_job(job: Job, wanted: Wanted) -> Object:
    """Return the Job that brings the sink's schema to its newest revision."""
    volumes = [_secret("sink", job.spec.sink.postgres.secret_ref.name)]
    image = job.spec.sink.postgres.migrations.image or wanted.image
    own = replace(wanted, image=image)
    return _task(job, own, "migrate", "migrate", volumes, sizing.task())


def seed_job(job: Job, wanted: Wanted) -> Object | None:
    """Return the Job that writes the items, or the records of an archive.

    None where somebody else fills the topic.
    """
    source, volumes = job.spec.source, [_secret("kafka", wanted.kafka_secret)]
    if source.archive is not None:
        volumes.append(_secret("archive", source.archive.s3.secret_ref.name))
        return _task(job, wanted, "seed", "replay", volumes, sizing.replay())
    items = source.items
    if items is None or items.topic is not None:
        return None
    if items.config_map is not None:
        volumes.append({"name": "items", "configMap": {"name": items.config_map.name}})
    if items.postgres is not None:
        volumes.append(_secret("source", items.postgres.secret_ref.name))
    return _task(job, wanted, "seed", "seed", volumes, sizing.task())


def redrive_job(job: Job, wanted: Wanted) -> Object | None:
    """Return the Job that puts given-up items back, if the spec asks for it."""
    if job.spec.redrive is None or job.spec.source.archive is not None:
        return None
    volumes = [_secret("kafka", wanted.kafka_secret)]
    found = _task(job, wanted, "redrive", "put-back", volumes, sizing.task())
    found["metadata"]["annotations"][RUN] = job.spec.redrive.id
    return found


def workers(role: Role, job: Job, wanted: Wanted, replicas: int) -> Object:
    """Return the Deployment of a role's pods."""
    volumes = [_secret("kafka", wanted.kafka_secret), *_volumes(role, job.spec, wanted)]
    images = {
        Role.FETCHER: job.spec.fetcher.image,
        Role.WRITER: job.spec.writer.image,
        Role.ARCHIVER: job.spec.archiver.image,
    }
    container = _container(VERBS[role], images[role] or wanted.image)
    container["resources"] = _dump(sizing.workers(role, job.spec))
    container |= {
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": _probe("/livez", period=1, failures=60),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
    }
    template = {
        "metadata": {
            "labels": _labels(job, role),
            "annotations": {DIGEST: digest(job, wanted, role)},
        },
        "spec": _pod(job, container, volumes),
    }
    # Each pod that comes or goes stops the whole group for a moment: none is added only to be
    # taken away again, and half of them change at a time.
    rolling = {"maxSurge": 0, "maxUnavailable": "50%"}
    spec = {
        "replicas": replicas,
        "selector": {
            "matchLabels": {names.JOB_LABEL: job.name.name, names.COMPONENT_LABEL: role.value}
        },
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": template,
    }
    return _object(job, "apps/v1", "Deployment", role, {"spec": spec})


def _volumes(role: Role, spec: IngestionJobSpec, wanted: Wanted) -> list[Object]:
    """Return the Secrets that a role's pods mount besides the broker's."""
    source, sink = spec.source, spec.sink
    if role is Role.ARCHIVER:
        return [_secret("archive", sink.archive.s3.secret_ref.name)] if sink.archive else []
    found = {"redis": wanted.redis_secret}
    if role is Role.WRITER:
        found["sink"] = sink.postgres.secret_ref.name
    else:
        if source.http is not None and source.http.headers_from is not None:
            found["headers"] = source.http.headers_from.name
        if source.http is not None and source.http.auth is not None:
            found["auth"] = source.http.auth.secret[0]
        if source.proxies is not None:
            found["proxies"] = source.proxies.secret_ref.name
        if source.handler is not None and source.handler.secret_ref is not None:
            found["handler"] = source.handler.secret_ref.name
    return [_secret(name, secret) for name, secret in found.items()]


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


def _secret(name: str, secret: str) -> Object:
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


def _pod(job: Job, container: Object, volumes: list[Object]) -> Object:
    """Return a pod whose container finds each volume in a folder of its name."""
    settings = {"name": "settings", "configMap": {"name": job.name.resource("settings")}}
    volumes = [settings, *volumes]
    mounts = [
        {"name": name, "mountPath": f"{DEFAULT_FOLDER}/{name}", "readOnly": True}
        for name in (volume["name"] for volume in volumes)
    ]
    container["volumeMounts"] = [*mounts, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
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
    volumes: list[Object],
    needs: Resources,
) -> Object:
    container = _container(command, wanted.image) | {"resources": _dump(needs)}
    annotations = {DIGEST: digest(job, wanted, command), RUN: wanted.run}
    template = {
        "metadata": {"labels": _labels(job, component)},
        "spec": _pod(job, container, volumes) | {"restartPolicy": "Never"},
    }
    spec = {"backoffLimit": 0, "template": template}
    found = _object(job, "batch/v1", "Job", component, {"spec": spec})
    found["metadata"]["annotations"] = annotations
    return found


def _probe(path: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
