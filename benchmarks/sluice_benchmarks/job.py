"""A whole fetcher under load: topics, many items, `sluice fetch` as in a pod."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sluice_api.names import JobName
from sluice_api.source import CircuitBreaker, Http, Retry
from sluice_api.spec import Compression
from sluice_workers.producer import Message, Producer
from sluice_workers.settings import FetcherSettings, KafkaConnection, Topic

PARTITIONS: Final = 8
CHUNK: Final = 10_000
"""Items that wait for the broker's acknowledgement at once."""


def broker() -> KafkaConnection:
    """The broker that the environment names."""
    return KafkaConnection(bootstrap_servers=os.environ["SLUICE_TEST_KAFKA"])


class Topics:
    """The topics of one job, made anew and deleted at the end."""

    def __init__(self, job: JobName) -> None:
        self.of = {
            suffix: Topic(name=job.topic(suffix), generation=1)
            for suffix in ("items", "records", "dead")
        }

    async def make(self) -> None:
        """Create them."""
        await self._ask(
            "create_topics", [NewTopic(t.name, PARTITIONS, 1) for t in self.of.values()]
        )

    async def delete(self) -> None:
        """Delete them."""
        await self._ask("delete_topics", [topic.name for topic in self.of.values()])

    async def _ask(self, call: str, argument: object) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker().bootstrap_servers)
        await admin.start()
        try:
            await getattr(admin, call)(argument)
        finally:
            await admin.close()


async def fill(topic: str, items: int) -> None:
    """Write items whose keys are numbers."""
    producer = Producer(broker(), Compression.LZ4)
    try:
        for start in range(0, items, CHUNK):
            numbers = range(start, min(start + CHUNK, items))
            await producer.send(topic, [Message(str(n).encode(), b"", ()) for n in numbers])
    finally:
        await producer.close()


@contextmanager
def whole_fetcher(url: str, in_flight: int, items: int) -> Iterator[int]:
    """Run ``sluice fetch`` over ``items`` items; yield the process id of its event loop."""
    job = JobName("benchmark", f"fetch-{uuid.uuid4().hex[:8]}")
    topics = Topics(job)
    asyncio.run(topics.make())
    try:
        asyncio.run(fill(topics.of["items"].name, items))
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), job, topics, url, in_flight)
            with _pod(Path(folder)) as pid:
                yield pid
    finally:
        asyncio.run(topics.delete())


def _write(folder: Path, job: JobName, topics: Topics, url: str, in_flight: int) -> None:
    settings = FetcherSettings(
        namespace=job.namespace,
        name=job.name,
        uid="benchmark",
        compression=Compression.ZSTD,
        http=Http(url=f"{url}/{{key}}"),
        retry=Retry(),
        circuit_breaker=CircuitBreaker(),
        processes=1,
        concurrency=in_flight,
        **topics.of,
    )
    files = {
        "settings/fetcher.json": settings.model_dump_json(by_alias=True),
        "kafka/bootstrapServers": broker().bootstrap_servers,
        "redis/url": os.environ["SLUICE_TEST_REDIS"],
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)


@contextmanager
def _pod(folder: Path) -> Iterator[int]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = ["-m", "sluice_cli", "fetch", "--folder", str(folder), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], start_new_session=True)
    try:
        yield _worker(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _worker(parent: int) -> int:
    """Return the process id of the pod's one event loop, once it is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        time.sleep(0.05)
    raise RuntimeError("the pod started no process within 30 s")
