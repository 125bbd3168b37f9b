"""A job that archives: its topic, its bucket, its pods; and what is in the bucket, judged."""

import asyncio
import hashlib
import json
import subprocess
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from integration.archive.s3_server import ACCESS, SECRET, S3Server
from integration.processes import pod, write_folder
from sluice_api.names import JobName
from sluice_api.spec import Compression
from sluice_workers import kafka as clients
from sluice_workers import wire
from sluice_workers.archive.manifest import Entry, check, merged, part_order, read_part
from sluice_workers.settings import ArchiverSettings, KafkaConnection

GENERATION = 7
PARTITIONS = 4
PREFIX = "kept/here"
RUN = "abc-1"


@dataclass
class World:
    """A job's records topic, and its archive."""

    kafka: KafkaConnection
    job: JobName
    topic: str
    server: S3Server
    folder: Path

    def configure(self, folder: Path | None = None, **changes: Any) -> Path:
        """Write the configuration of a pod; keyword arguments replace parts of the archive's."""
        s3 = {"bucket": self.server.bucket.name, "prefix": PREFIX, "secretRef": {"name": "bucket"}}
        archive = {"maxBytes": 1 << 16, "timeout": "1s"} | changes
        archive["s3"] = s3 | {"endpoint": self.server.endpoint} | changes.get("s3", {})
        settings = ArchiverSettings.model_validate(
            {
                "namespace": self.job.namespace,
                "name": self.job.name,
                "uid": self.job.name,
                "run": RUN,
                "records": {"name": self.topic, "generation": GENERATION},
                "archive": archive,
                "ends": False,
            }
        )
        files = {
            "settings/archiver.json": settings.model_dump_json(by_alias=True),
            "kafka/bootstrapServers": self.kafka.bootstrap_servers,
            "archive/accessKeyId": ACCESS,
            "archive/secretAccessKey": SECRET,
        }
        write_folder(folder or self.folder, files)
        return folder or self.folder

    def archiver(
        self, port: int | None = None
    ) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        return pod("archive", self.folder, port=port)

    async def produce(self, numbers: range, version: int = 1) -> None:
        producer = clients.producer(self.kafka, Compression.ZSTD)
        await producer.start()
        sent = [
            await producer.send(
                self.topic,
                key=str(number).encode(),
                value=json.dumps({"id": number, "name": f"v{version}", "é": "ü"}).encode(),
                headers=headers(f"run/{number}", version),
                timestamp_ms=1_764_000_000_000 + number,
            )
            for number in numbers
        ]
        await asyncio.gather(*sent)
        await producer.stop()

    async def committed(self) -> dict[int, int]:
        """What the group of archivers holds."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            group_id=self.job.group("archive"),
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            return {each.partition: await consumer.committed(each) or 0 for each in places}
        finally:
            await consumer.stop()

    async def wait_for(self, total: int, seconds: float = 90) -> None:
        """Wait until so many offsets have passed."""
        async with asyncio.timeout(seconds):
            while sum((await self.committed()).values()) < total:
                await asyncio.sleep(0.2)

    def manifest(self) -> dict[int, tuple[Entry, ...]]:
        """The entries of each partition."""
        found: dict[int, tuple[Entry, ...]] = {}
        for name, content in self.server.files().items():
            if order := part_order(name):
                entries = read_part(name, content).objects
                found[order[1]] = merged(found.get(order[1], ()), entries)
        return found

    async def judge(self, total: int) -> list[dict[str, Any]]:
        """Each record is in one object, in order, and the manifest tells the truth of each."""
        files, manifest = self.server.files(), self.manifest()
        lines: list[dict[str, Any]] = []
        listed = set()
        for partition, entries in manifest.items():
            check(entries)
            assert entries[0].first == 0
            for entry in entries:
                name = f"{PREFIX}/{entry.object}"
                listed.add(name)
                assert hashlib.sha256(files[name]).hexdigest() == entry.sha256
                found = unpacked(files[name])
                offsets = [line["offset"] for line in found]
                assert offsets == list(range(entry.first, entry.next))
                assert {line["partition"] for line in found} == {partition}
                assert len(found) == entry.records
                lines += found
        assert listed == {name for name in files if "/records/" in name}
        ends = {partition: entries[-1].next for partition, entries in manifest.items()}
        assert {key: value for key, value in (await self.committed()).items() if value} == ends
        assert len(lines) == total
        return lines


def unpacked(content: bytes) -> list[dict[str, Any]]:
    """An object's lines, as `zstd -d` and any reader of JSON lines see them."""
    found = subprocess.run(["zstd", "-dc"], input=content, capture_output=True, check=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


def headers(item: str, version: int) -> list[tuple[str, bytes]]:
    return [
        (wire.ITEM, item.encode()),
        (wire.ORDINAL, b"0"),
        (wire.VERSION, str(version).encode()),
        (wire.GENERATION, str(GENERATION).encode()),
    ]


async def trouble(port: int) -> str:
    """What a pod says is wrong at ``/state``; empty while nothing is."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}/state") as answer:
                (process,) = (await answer.json())["processes"]
        except aiohttp.ClientError:
            return ""
    said = process["trouble"] or {"reason": "", "message": ""}
    return f"{said['reason']}: {said['message']}" if said["reason"] else ""


async def wait_for_trouble(port: int, words: str, seconds: float = 40) -> None:
    found = ""
    try:
        async with asyncio.timeout(seconds):
            while words not in (found := await trouble(port) or found):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"no {words!r} was said, but {found!r}") from None
