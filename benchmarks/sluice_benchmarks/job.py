"""Jobs under load: topics, many items, pods of `sluice fetch` as in a cluster."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from sluice_api.http import Http
from sluice_api.names import JobName
from sluice_api.source import CircuitBreaker, Retry
from sluice_api.spec import Compression
from sluice_dev.ports import free_port
from sluice_dev.processes import TETHER
from sluice_workers.producer import Message, Producer
from sluice_workers.settings import FetcherSettings, KafkaConnection, Topic

CHUNK: Final = 10_000
"""Items that wait for the broker's acknowledgement at once."""
SUFFIXES: Final = ("items", "records", "dead")
SLUICE: Final = ("sluice_cli", "fetch")
"""What a pod runs."""


def broker() -> KafkaConnection:
    """The broker that the environment names."""
    return KafkaConnection(bootstrap_servers=os.environ["SLUICE_TEST_KAFKA"])


class Topics:
    """The topics of one job, made anew and deleted at the end."""

    def __init__(self, job: JobName, partitions: int, suffixes: tuple[str, ...] = SUFFIXES) -> None:
        self.of = {suffix: Topic(name=job.topic(suffix), generation=1) for suffix in suffixes}
        self.partitions = partitions

    async def make(self) -> None:
        """Create them."""
        topics = [NewTopic(topic.name, self.partitions, 1) for topic in self.of.values()]
        await self._ask("create_topics", topics)

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


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose pods may be started."""

    name: JobName
    items: str
    """The topic of its items."""
    folder: Path
    """The configuration of its pods."""


@contextmanager
def job(url: str, items: int, *, partitions: int = 8, **changes: Any) -> Iterator[Job]:
    """Make a job with so many items; ``changes`` are of ``FetcherSettings``."""
    name = JobName("benchmark", f"fetch-{uuid.uuid4().hex[:8]}")
    topics = Topics(name, partitions)
    asyncio.run(topics.make())
    try:
        asyncio.run(fill(topics.of["items"].name, items))
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), name, topics, url, changes)
            yield Job(name, topics.of["items"].name, Path(folder))
    finally:
        asyncio.run(topics.delete())
        asyncio.run(_forget(name))


@contextmanager
def whole_fetcher(url: str, in_flight: int, items: int) -> Iterator[int]:
    """Run ``sluice fetch`` over ``items`` items; yield the process id of its event loop."""
    with job(url, items, concurrency=in_flight) as made, pod(made.folder) as started:
        yield started.loops(1)[0]


def _write(folder: Path, name: JobName, topics: Topics, url: str, changes: dict[str, Any]) -> None:
    content = {
        "http": Http(url=f"{url}/{{key}}"),
        "retry": Retry(),
        "circuit_breaker": CircuitBreaker(),
        "processes": 1,
        "concurrency": 100,
        "compression": Compression.ZSTD,
    }
    settings = FetcherSettings(
        namespace=name.namespace,
        name=name.name,
        uid="benchmark",
        allowed_addresses=("127.0.0.0/8",),
        **topics.of,
        **(content | changes),
    )
    write_folder(folder, {"settings/fetcher.json": settings.model_dump_json(by_alias=True)})


def write_folder(folder: Path, settings: dict[str, str]) -> None:
    """Write a pod's configuration as the operator mounts it: files by their path."""
    files = settings | {
        "kafka/bootstrapServers": broker().bootstrap_servers,
        "redis/url": os.environ["SLUICE_TEST_REDIS"],
    }
    for file, text in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)


async def _forget(name: JobName) -> None:
    client = Redis.from_url(os.environ["SLUICE_TEST_REDIS"])
    keys = [key async for key in client.scan_iter(match=name.redis_key("*"))]
    if keys:
        await client.delete(*keys)
    await client.aclose()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, its processes in a group of their own."""

    process: "subprocess.Popen[bytes]"
    port: int

    def stop(self) -> None:
        """End it as Kubernetes does, and wait."""
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> None:
        """End it at once, all its processes."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def assigned(self) -> list[int]:
        """Return the partitions that it said it has in the last second; none if it is silent."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/state", timeout=5) as answer:
                processes = json.load(answer)["processes"]
        except (urllib.error.URLError, OSError):
            return []
        return [partition for process in processes for partition in process["assigned"]]

    def loops(self, count: int) -> list[int]:
        """Return the process ids of its event loops, once so many are there."""
        deadline, listing = time.monotonic() + 30, f"task/{self.process.pid}/children"
        while time.monotonic() < deadline:
            pids = map(int, Path(f"/proc/{self.process.pid}/{listing}").read_text().split())
            found = [
                pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            if len(found) == count:
                return found
            time.sleep(0.05)
        raise RuntimeError(f"the pod did not start {count} processes within 30 s")


@contextmanager
def pod(folder: Path, program: tuple[str, ...] = SLUICE) -> Iterator[Pod]:
    """Run a pod, and kill it at the end; ``program`` is a module and its first arguments.

    Its own files are in its folder. What it logs is shown only when what it runs for has failed.
    """
    port = free_port()
    command = [sys.executable, "-m", *program, "--folder", str(folder), "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*TETHER, *command],
            stderr=log,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        started = Pod(process, port)
        try:
            yield started
        except Exception:
            started.kill()
            log.seek(0)
            sys.stderr.write(f"the pod logged:\n{log.read().decode(errors='replace')}")
            raise
        finally:
            started.kill()
