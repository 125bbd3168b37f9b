"""The cluster that the end-to-end tests run in, and a job for each test.

The cluster is the local one that SLUICE_TEST_CLUSTER names, or the user's own (CONTEXT, IMAGE).
"""

import os
import re
import sys
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from e2e.ingestion import Ingestion, Start
from sluice_dev import cluster as clusters
from sluice_dev.cities import SampleApi, some_cities
from sluice_dev.install import install, uninstall
from sluice_dev.progress import Progress
from sluice_dev.target import Target, target

NAMESPACE = "sluice-e2e"
CITIES = 4000
BEHAVIOUR = {
    "latency_ms": 100,
    "jitter_ms": 50,
    "missing": 0.01,
    "broken": 0.01,
    "unreadable": 0.01,
    "throttled": 0.001,
    "unavailable": 0.02,
    "garbled": 0.02,
}
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def where() -> Iterator[Target]:
    """The cluster, with operator, services and sample API ready in it."""
    cluster = os.environ.get("SLUICE_TEST_CLUSTER", "")
    if not cluster and "CONTEXT" not in os.environ:
        pytest.fail("SLUICE_TEST_CLUSTER must name a local cluster, or CONTEXT and IMAGE yours")
    if cluster:
        clusters.running(cluster)
    progress = Progress()
    found = target(cluster, NAMESPACE, progress)
    install(found, progress)
    api = SampleApi(found)
    api.install(some_cities(CITIES).values(), progress)
    api.change(BEHAVIOUR)
    yield found
    if found.local:
        delete = ("delete", "ingestionjobs", "--all", f"--namespace={NAMESPACE}")
        found.kubectl(*delete, "--timeout=90s")
    else:
        uninstall(found)


@pytest.fixture
def start(where: Target, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Apply a job over the first ``count`` cities; it is explained if the test fails, and removed.

    The job is named like the test. Keyword arguments replace parts of the spec.
    """
    started: list[Ingestion] = []

    def apply(count: int, **changes: Any) -> Ingestion:
        name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
        job = Ingestion(where, name.removeprefix("test-")[-40:].strip("-"), keys(count), changes)
        started.append(job)
        job.delete()
        job.evidence.query(f"drop table if exists {job.table}")
        job.api.forget()
        job.apply()
        return job

    yield apply
    for job in started:
        if request.node.stash.get(FAILED, False):
            sys.stdout.write(job.explain())
        job.delete()


def keys(count: int) -> tuple[str, ...]:
    return tuple(some_cities(count))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixtures that end after it."""
    item.stash[FAILED] = item.stash.get(FAILED, False) or call.excinfo is not None
    return (yield)
