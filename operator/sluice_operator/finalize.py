"""What becomes of a job's things when it is deleted."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from sluice_api import names
from sluice_api.errors import ConfigurationError, SluiceError
from sluice_api.references import SecretReference
from sluice_api.spec import DeletionPolicy
from sluice_operator import redis_client, sink
from sluice_operator.broker import Broker
from sluice_operator.kube import Kubernetes
from sluice_operator.observed import VERBS, Job, Object

PATIENCE: Final = 90.0
"""Seconds after which a job goes although something of it could not be removed."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """What of a job could not be removed."""

    message: str
    """A sentence that tells people what is left."""
    final: bool
    """Whether trying again is of no use: what is needed to reach it is gone."""


async def stop_pods(kubernetes: Kubernetes, job: Job) -> bool:
    """Delete what runs for a job; return whether all of it has ended."""
    labels, space = f"{names.JOB_LABEL}={job.name.name}", job.name.namespace
    for kind in ("Deployment", "Job"):
        for found in await kubernetes.list_objects(kind, space, labels):
            await kubernetes.delete(kind, space, found["metadata"]["name"])
    return not await kubernetes.list_objects("Pod", space, labels)


async def clean_up(
    kubernetes: Kubernetes,
    job: Job,
    broker: Broker | None,
    redis_url: str | None,
) -> list[Failure]:
    """Remove a job's groups, Redis keys, offset rows and, where asked, topics.

    Returns what could not be removed; nothing is raised.
    """
    groups = f"consumer groups {job.name.group('*')} and topics that go with the job"
    keys = f"keys {job.name.redis_key('*')} in Redis"
    rows = f"rows of job_uid {job.uid} in sluice.offsets, record_ids, slices and buffer"
    failures = [
        await _attempt(job, groups, _broker(job, broker)),
        await _attempt(job, keys, _redis(job, redis_url)),
        await _attempt(job, rows, _rows(kubernetes, job)),
    ]
    return [failure for failure in failures if failure]


def out_of_patience(raw: Object) -> bool:
    """Whether a deleted job has waited long enough."""
    since = datetime.fromisoformat(raw["metadata"]["deletionTimestamp"])
    return (datetime.now(UTC) - since).total_seconds() > PATIENCE


async def _attempt(job: Job, what: str, removal: Awaitable[None]) -> Failure | None:
    try:
        await removal
    except (SluiceError, OSError, asyncpg.PostgresError, TimeoutError) as error:
        message = f"{what} could not be removed: {error}"
        _LOG.warning("%s", message, extra={"job": str(job.name)})
        return Failure(message, isinstance(error, ConfigurationError))
    return None


async def _broker(job: Job, broker: Broker | None) -> None:
    if broker is None:
        raise _unreachable(job, job.spec.connections.kafka, "spec.connections.kafka")
    await broker.delete_groups([job.name.group(verb) for verb in VERBS.values()])
    if job.spec.deletion_policy is DeletionPolicy.DELETE:
        suffixes = ["records", "dead"] + ([] if job.spec.source.items_topic else ["items"])
        await broker.delete_topics([job.name.topic(suffix) for suffix in suffixes])


async def _redis(job: Job, url: str | None) -> None:
    if url is None:
        raise _unreachable(job, job.spec.connections.redis, "spec.connections.redis")
    async with redis_client.connected(url) as client:
        keys = [key async for key in client.scan_iter(match=job.name.redis_key("*"), count=1000)]
        if keys:
            await client.delete(*keys)


async def _rows(kubernetes: Kubernetes, job: Job) -> None:
    found = await sink.database(kubernetes, job)
    if found is None:
        given = job.spec.sink.postgres.secret_ref
        raise _unreachable(job, given, "spec.sink.postgres.secretRef")
    await sink.forget(found, job.uid)


def _unreachable(job: Job, given: SecretReference | None, field: str) -> ConfigurationError:
    """Tell that what the job named itself cannot be reached; the operator's own always can."""
    name = given.name if given is not None else "?"
    return ConfigurationError(
        f"Secret {job.name.namespace}/{name}, named by {field}, is gone or lacks what is needed:"
        " remove them by hand"
    )
