"""One job under test: applied, watched, disturbed and judged, all through kubectl."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_api.names import JobName
from sluice_dev.cities import SampleApi, doomed, items, job
from sluice_dev.errors import ClusterError
from sluice_dev.evidence import Evidence
from sluice_dev.follow import why
from sluice_dev.target import Target

POLL: Final = 0.5
"""Seconds between two looks."""
WORKLOADS: Final = "deployments,jobs.batch,pods,configmaps,secrets"


@dataclass
class Ingestion:
    """A job named ``name`` over ``keys`` of the sample API, into the table public.<name>."""

    where: Target
    name: str
    keys: tuple[str, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.where)
        self.api = SampleApi(self.where)
        self.job = JobName(self.where.jobs, self.name)
        self.table = f"public.{self.name.replace('-', '_')}"
        self.in_jobs = f"--namespace={self.where.jobs}"

    def manifest(self) -> dict[str, Any]:
        """examples/cities.yaml with this job's name, items and table, paced to last a while."""
        found = job()
        found["metadata"] = {"name": self.name}
        spec = found["spec"]
        spec["source"]["items"] = {"configMap": {"name": self.name}}
        spec["source"]["retry"] = {"attempts": 3, "backoff": {"initial": "100ms", "max": "1s"}}
        spec["source"].pop("rateLimit", None)
        spec["sink"]["postgres"] |= {"table": self.table, "mode": "Append", "key": []}
        spec["batch"] = {"minSize": 50, "maxSize": 500, "timeout": "500ms"}
        spec["fetcher"] |= {"replicas": {"min": 0, "max": 2}, "concurrency": 10}
        return merged(found, {"spec": self.changes})

    def apply(self) -> None:
        self.where.kubectl.apply(items(self.name, self.keys), self.in_jobs)
        self.where.kubectl.apply(json.dumps(self.manifest()), self.in_jobs)

    def delete(self) -> None:
        """Delete the job as a person would: returns when its finalizer is through."""
        delete = ("delete", "ingestionjob", self.name, self.in_jobs, "--ignore-not-found")
        self.where.kubectl(*delete, "--timeout=60s")

    def status(self) -> dict[str, Any]:
        found = self.where.kubectl.json("get", "ingestionjob", self.name, self.in_jobs)
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.status().get("conditions", [])
        return next((found for found in conditions if found["type"] == kind), {})

    def phase(self) -> str:
        return str(self.status().get("phase", ""))

    def wait_complete(self, seconds: int = 150) -> None:
        """Wait for the end by one watch: to ask ever again costs the machine more than the run."""
        phase = "--for=jsonpath={.status.phase}=Completed"
        arguments = (f"ingestionjob/{self.name}", self.in_jobs, f"--timeout={seconds}s")
        self.where.kubectl("wait", phase, *arguments, timeout=seconds + 30)

    def wait_rows(self, count: int, seconds: float = 90) -> None:
        """Wait until the run is in its middle: some rows are there, and not all of them."""
        self.wait("table", self.has_table, seconds)
        self.wait(f"{count} rows", lambda: self.evidence.count(self.table) >= count, seconds)
        assert len(self.rows()) < len(self.keys), "the run was over before it could be disturbed"

    def wait(self, what: str, met: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline, f"{self.name}: no {what} after {seconds:.0f} s"
            time.sleep(POLL)

    def rows(self) -> list[str]:
        """The ids in the table, one for each row; none while there is no table."""
        if not self.has_table():
            return []
        return [row[0] for row in self.evidence.query(f"select id from {self.table}")]

    def has_table(self) -> bool:
        return self.evidence.query(f"select to_regclass('{self.table}') is null") == [["f"]]

    def offset_rows(self) -> int:
        return self.evidence.count(f"sluice.offsets where job = '{self.job}'")

    def objects(self) -> set[str]:
        """What the operator made for the job and is still there, such as ``pod/x-fetcher-…``."""
        label = f"--selector=sluice.dev/job={self.name}"
        return set(self._get(WORKLOADS, label))

    def pods(self, component: str) -> list[str]:
        """The job's running pods of a component, such as ``pod/x-fetcher-…``."""
        label = f"sluice.dev/job={self.name},app.kubernetes.io/component={component}"
        return self._get("pods", f"--selector={label}", "--field-selector=status.phase=Running")

    def _get(self, *arguments: str) -> list[str]:
        return self.where.kubectl("get", *arguments, self.in_jobs, "--output=name").split()

    def kill_processes(self, component: str) -> None:
        """SIGKILL the children of each pod's first process, which is immune itself."""
        for pod in self.pods(component):
            command = ("exec", pod, self.in_jobs, "--", "python3", "-c", KILL_CHILDREN)
            assert int(self.where.kubectl(*command)) > 0, f"{pod} had no children to kill"

    def kill_pods(self, component: str) -> None:
        found = self.pods(component)
        assert found, f"{self.name} has no {component} pod to kill"
        force_delete(self.where, self.where.jobs, *found)

    def judge(self) -> None:
        """Each item is exactly one row, or it is in the failed set and the dead topic."""
        must_fail = doomed(self.keys, self.api.behaviour()).keys()
        rows = Counter(self.rows())
        assert {key for key, times in rows.items() if times > 1} == set(), "rows that are repeated"
        assert rows.keys() == set(self.keys) - must_fail
        assert self.evidence.failed_keys(self.job) == must_fail
        dead = self.evidence.dead_items(self.job, len(must_fail))
        assert {item["key"] for item in dead} == must_fail

    def explain(self) -> str:
        """Everything that helps to understand a failure."""
        label = f"--selector=sluice.dev/job={self.name}"
        found = [why(self.where, self.name)]
        for arguments in (
            ("get", "ingestionjob", self.name, self.in_jobs, "--output=yaml"),
            ("logs", label, self.in_jobs, "--tail=40", "--prefix"),
            ("logs", "deployment/sluice-operator", f"-n{self.where.system}", "--tail=80"),
        ):
            try:
                found.append(self.where.kubectl(*arguments))
            except ClusterError as error:
                found.append(str(error))
        return "\n\n".join(found)


KILL_CHILDREN = """
import os, pathlib, signal
children = pathlib.Path("/proc/1/task/1/children").read_text().split()
for child in children:
    os.kill(int(child), signal.SIGKILL)
print(len(children))
"""

Start = Callable[..., Ingestion]
"""Applies a job over so many cities; keyword arguments replace parts of the spec."""


def force_delete(where: Target, namespace: str, *pods: str) -> None:
    """Delete pods without giving them time to end."""
    where.kubectl(
        "delete", *pods, f"--namespace={namespace}", "--grace-period=0", "--force", "--wait=false"
    )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of mappings in one; where both have a value, that of ``above``; None removes."""
    found = dict(below)
    for name, value in above.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(found.get(name), Mapping):
            found[name] = merged(found[name], value)
        else:
            found[name] = value
    return found
