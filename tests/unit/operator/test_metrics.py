"""What the operator tells Prometheus of jobs."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_api.names import JobName
from sluice_api.status import IngestionJobStatus
from sluice_operator import metrics
from sluice_operator.metrics import JobMetrics

USERS = JobName("team", "users")
LABELS = {"namespace": "team", "ingestionjob": "users"}
STATUS = IngestionJobStatus.model_validate(
    {
        "phase": "Degraded",
        "failed": 3,
        "fetcher": {"desired": 4, "ready": 2, "lag": {"total": 70}},
        "conditions": [
            {
                "type": "Degraded",
                "status": "True",
                "reason": "RedisUnreachable",
                "lastTransitionTime": datetime(2026, 1, 2, tzinfo=UTC),
            }
        ],
    }
)


class Told:
    """Metrics as they are scraped."""

    def __init__(self) -> None:
        self.jobs = JobMetrics()
        self._registry = CollectorRegistry()
        self._registry.register(self.jobs)

    def of(self, name: str, **labels: Any) -> float | None:
        return self._registry.get_sample_value(f"sluice_job_{name}", LABELS | labels)


def test_tells_the_last_status() -> None:
    told = Told()
    told.jobs.tell(USERS, IngestionJobStatus())
    told.jobs.tell(USERS, STATUS)
    assert (told.of("phase", phase="Degraded"), told.of("phase", phase="Pending")) == (1, 0)
    assert told.of("lag_messages", role="fetcher") == 70
    assert told.of("replicas_desired", role="fetcher") == 4
    assert told.of("replicas_ready", role="fetcher") == 2
    assert told.of("failed_keys") == 3
    assert told.of("degraded", reason="RedisUnreachable") == 1


def test_a_job_that_is_gone_is_told_of_no_more() -> None:
    told = Told()
    told.jobs.tell(USERS, STATUS)
    told.jobs.forget(USERS)
    assert told.of("failed_keys") is None


def test_so_is_one_that_another_operator_looks_after(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    told.jobs.tell(USERS, STATUS)
    monkeypatch.setattr(metrics, "FORGOTTEN_AFTER", -1.0)
    assert told.of("failed_keys") is None
