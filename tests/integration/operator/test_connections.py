"""Connections that change while the operator runs."""

from pathlib import Path

import aiohttp

from integration.conftest import MakeTopic
from operator_examples import spec
from sluice_api.names import JobName
from sluice_api.status import IngestionJobStatus
from sluice_operator import settings
from sluice_operator.kube import Kubernetes
from sluice_operator.observe import Observer
from sluice_operator.observed import Job
from sluice_workers.settings import KafkaConnection

NOWHERE = "127.0.0.1:1"


def mount(folder: Path, servers: str, url: str) -> None:
    for name, content in (("kafka/bootstrapServers", servers), ("redis/url", url)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


async def test_changed_secrets_are_followed_without_a_restart(
    administrator: Kubernetes,
    job: JobName,
    kafka: KafkaConnection,
    redis_url: str,
    make_topic: MakeTopic,
    tmp_path: Path,
) -> None:
    topic = await make_topic("items", 3)
    mount(tmp_path, NOWHERE, redis_url)
    found = Job(job, "uid-1", 1, spec(), IngestionJobStatus())
    read = settings.read({"SLUICE_WORKER_IMAGE": "x", "SLUICE_CONNECTIONS": str(tmp_path)})
    async with aiohttp.ClientSession() as http:
        observer = Observer(administrator, read, http)
        seen = await observer.observe(found)
        assert seen.partitions is None
        assert "BrokerUnreachable" in {trouble.reason for trouble in seen.troubles}
        before = observer.broker(KafkaConnection(bootstrap_servers=NOWHERE))

        mount(tmp_path, kafka.bootstrap_servers, redis_url)
        seen = await observer.observe(found)
        assert seen.partitions == {topic: 3}
        assert observer.broker(KafkaConnection(bootstrap_servers=NOWHERE)) is not before

        (tmp_path / "kafka" / "bootstrapServers").unlink()
        seen = await observer.observe(found)
        (trouble,) = (each for each in seen.troubles if each.reason == "InvalidConnections")
        assert trouble.message.startswith("the operator's own connections: ")
        assert "bootstrapServers: Field required" in trouble.message
        await observer.close()
