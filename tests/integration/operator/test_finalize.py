"""A job that is deleted after the Secrets that it named."""

from operator_examples import job, spec
from sluice_api.names import JobName
from sluice_api.status import IngestionJobStatus
from sluice_dev.target import Target
from sluice_operator.finalize import clean_up
from sluice_operator.kube import Kubernetes
from sluice_operator.observed import Job


async def test_what_cannot_be_reached_any_more_is_named(
    where: Target, administrator: Kubernetes
) -> None:
    named = spec(connections={"kafka": {"name": "broker"}, "redis": {"name": "cache"}})
    found = Job(JobName(where.jobs, "users"), job().uid, 1, named, IngestionJobStatus())
    failures = await clean_up(administrator, found, None, None)
    assert all(failure.final for failure in failures)
    broker, redis, rows = (failure.message for failure in failures)
    assert f"consumer groups sluice.{where.jobs}.users.* and topics" in broker
    assert f"Secret {where.jobs}/broker, named by spec.connections.kafka, is gone" in broker
    assert f"keys sluice:{{{where.jobs}/users}}:* in Redis" in redis
    assert f"Secret {where.jobs}/cache, named by spec.connections.redis, is gone" in redis
    assert "rows of job_uid 0123456789 in sluice.offsets, record_ids, slices and buffer" in rows
    assert f"Secret {where.jobs}/warehouse, named by spec.sink.postgres.secretRef" in rows
