"""A job to test with."""

from typing import Any

from sluice_api.names import JobName
from sluice_api.spec import IngestionJobSpec
from sluice_api.status import IngestionJobStatus, RunStatus, TopicsStatus, TopicStatus
from sluice_operator.observed import Job


def spec(**changes: Any) -> IngestionJobSpec:
    content: dict[str, Any] = {
        "source": {
            "items": {"configMap": {"name": "ids"}},
            "http": {"url": "http://api/{key}", "headersFrom": {"name": "token"}},
        },
        "sink": {
            "postgres": {
                "secretRef": {"name": "warehouse"},
                "table": "public.users",
                "key": ["id"],
                "columns": {"id": {"type": "bigint"}},
            }
        },
        "mode": "Once",
    }
    return IngestionJobSpec.model_validate(content | changes)


S3: dict[str, Any] = {"bucket": "raw", "secretRef": {"name": "bucket"}}


def archived() -> dict[str, Any]:
    """The sink of a job that keeps its raw records."""
    return {**spec().sink.model_dump(mode="json", by_alias=True), "archive": {"s3": S3}}


def replay() -> dict[str, Any]:
    """The source of a job that replays another's records."""
    return {"archive": {"s3": S3, "job": "users"}}


def job(status: IngestionJobStatus | None = None, **changes: Any) -> Job:
    name = JobName("team", "users")
    return Job(name, "0123456789", 3, spec(**changes), status or IngestionJobStatus())


def topics(generation: int = 5) -> TopicsStatus:
    return TopicsStatus(
        **{
            suffix: TopicStatus(name=f"team.users.{suffix}", generation=generation)
            for suffix in ("items", "records", "dead")
        }
    )


def ready_status(run: RunStatus) -> IngestionJobStatus:
    return IngestionJobStatus(topics=topics(), run=run)
