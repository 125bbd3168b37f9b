"""A run that keeps its raw records in S3, and another job that replays them."""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.ingestion import Ingestion, Start
from integration.archive.s3_server import ACCESS, SECRET, S3Server
from sluice_dev import cluster as clusters
from sluice_dev.target import Target


@pytest.fixture
def s3(where: Target, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server that the pods can reach, as the spec of a job names it."""
    if not where.local:
        pytest.skip("the S3 server of the tests is a process beside the local cluster")
    layout = clusters.running(os.environ["SLUICE_TEST_CLUSTER"]).layout
    server = S3Server(tmp_path, address=layout.node_address)
    server.start()
    data = {"accessKeyId": ACCESS, "secretAccessKey": SECRET}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket", "namespace": where.jobs},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
    where.kubectl.apply(json.dumps(secret))
    yield {
        "bucket": server.bucket.name,
        "endpoint": server.endpoint,
        "secretRef": {"name": "bucket"},
    }
    server.stop()


def test_a_run_is_archived_and_replayed_into_a_table_of_its_own(
    start: Start, s3: dict[str, Any], where: Target
) -> None:
    job = start(800, sink={"archive": {"s3": s3}})
    job.wait_complete()
    job.judge()
    status = job.status()
    assert status["archiver"]["lag"]["total"] == 0
    assert status["archiver"]["scaling"] is not None
    assert job.job.group("archive") in job.evidence.groups(job.job)
    job.wait("end of the archivers", lambda: job.pods("archiver") == [], 60)

    changes = {
        "source": {
            "items": None, "http": None, "retry": None,
            "archive": {"s3": s3, "job": job.name},
        },
    }  # fmt: skip
    again = Ingestion(where, "replayed", job.keys, changes)
    again.delete()
    again.evidence.query(f"drop table if exists {again.table}")
    try:
        again.apply()
        again.wait_complete()
        assert sorted(again.rows()) == sorted(job.rows())
        assert again.pods("fetcher") == []
        different = f"(select * from {job.table} except select * from {again.table})"
        assert again.evidence.query(f"select count(*) from {different} as d") == [["0"]]
    except BaseException:
        sys.stdout.write(again.explain())
        raise
    finally:
        again.delete()
    job.delete()
    assert job.evidence.groups(job.job) == set()
