"""What the operator tells Prometheus of jobs: the status that it writes, as gauges."""

import time
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice_api.names import JobName
from sluice_api.status import ConditionStatus, ConditionType, IngestionJobStatus, Phase

FORGOTTEN_AFTER: Final = 90.0
"""Seconds after which a job that was not looked at is another operator's, or gone."""
JOB: Final = ["namespace", "ingestionjob"]
"""Labels of every gauge; Prometheus keeps ``job`` for what it scrapes."""


class JobMetrics(Collector):
    """The last status of each job that this operator looks after."""

    def __init__(self) -> None:
        self._told: dict[JobName, tuple[float, IngestionJobStatus]] = {}

    def tell(self, name: JobName, status: IngestionJobStatus) -> None:
        """Note the status that was decided just now."""
        self._told[name] = time.monotonic(), status

    def forget(self, name: JobName) -> None:
        """Note that a job is gone."""
        self._told.pop(name, None)

    def collect(self) -> Iterator[Metric]:
        """The gauges of all jobs."""
        oldest = time.monotonic() - FORGOTTEN_AFTER
        self._told = {name: told for name, told in self._told.items() if told[0] >= oldest}
        families = _families()
        for name, (_, status) in self._told.items():
            _add(families, [name.namespace, name.name], status)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    given: tuple[tuple[str, str, list[str]], ...] = (
        ("phase", "1 for the phase that the job is in, 0 for the others.", ["phase"]),
        ("lag_messages", "Messages that a role has yet to consume.", ["role"]),
        ("replicas_desired", "Pods wanted of a role.", ["role"]),
        ("replicas_ready", "Pods of a role that are ready.", ["role"]),
        ("failed_keys", "Keys in the failed set.", []),
        ("degraded", "Whether the condition Degraded holds, and its reason.", ["reason"]),
    )
    return {
        name: GaugeMetricFamily(f"sluice_job_{name}", text, labels=[*JOB, *labels])
        for name, text, labels in given
    }


def _add(
    families: dict[str, GaugeMetricFamily], job: list[str], status: IngestionJobStatus
) -> None:
    for phase in Phase:
        families["phase"].add_metric([*job, phase.value], float(status.phase is phase))
    for role in ("fetcher", "writer", "archiver"):
        workers = getattr(status, role)
        families["lag_messages"].add_metric([*job, role], workers.lag.total)
        families["replicas_desired"].add_metric([*job, role], workers.desired)
        families["replicas_ready"].add_metric([*job, role], workers.ready)
    families["failed_keys"].add_metric(job, status.failed)
    for condition in status.conditions:
        if condition.type is ConditionType.DEGRADED:
            holds = condition.status is ConditionStatus.TRUE
            families["degraded"].add_metric([*job, condition.reason], float(holds))
