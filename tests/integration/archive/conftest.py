"""An S3 server, and a job that archives into it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.archive.s3_server import S3Server
from integration.archive.world import PARTITIONS, World
from sluice_api.names import JobName
from sluice_workers.settings import KafkaConnection


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    server = S3Server(tmp_path / "s3")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def world(
    kafka: KafkaConnection, job: JobName, make_topic: Any, s3: S3Server, tmp_path: Path
) -> World:
    topic = await make_topic("records", PARTITIONS)
    found = World(kafka, job, topic, s3, tmp_path / "archiver")
    found.folder.mkdir()
    found.configure()
    return found
