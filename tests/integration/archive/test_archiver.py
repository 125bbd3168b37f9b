"""The archiver on a real broker and a real S3 server, as a process that can be killed."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from integration.archive.world import (
    PARTITIONS,
    PREFIX,
    RUN,
    World,
    headers,
    unpacked,
    wait_for_trouble,
)
from integration.processes import free_port, kill
from sluice_api.spec import Compression
from sluice_workers import kafka as clients
from sluice_workers import wire


async def test_every_record_is_a_line_that_anybody_can_read(world: World) -> None:
    await world.produce(range(2000))
    async with world.archiver():
        await world.wait_for(2000)
    lines = await world.judge(2000)
    by_key = {line["key"]: line for line in lines}
    assert len(by_key) == 2000
    assert by_key["17"] == {
        "partition": by_key["17"]["partition"],
        "offset": by_key["17"]["offset"],
        "timestamp": 1_764_000_000_017,
        "key": "17",
        "headers": {
            wire.ITEM: "run/17",
            wire.ORDINAL: "0",
            wire.VERSION: "1",
            wire.GENERATION: "7",
        },
        "value": {"id": 17, "name": "v1", "é": "ü"},
    }
    folder = f"{PREFIX}/{world.job.namespace}/{world.job.name}/{RUN}"
    assert all(name.startswith(f"{folder}/") for name in world.server.files())


async def test_a_pod_that_is_stopped_keeps_what_is_in_hand(world: World) -> None:
    world.configure(timeout="10m", maxBytes=64 << 20)
    await world.produce(range(500))
    async with world.archiver() as process:
        await asyncio.sleep(8)
        assert world.server.files() == {}
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    await world.judge(500)


async def test_lag_is_told_while_the_bucket_is_away_and_until_all_is_kept(world: World) -> None:
    port = free_port()
    world.server.stop()
    await world.produce(range(500))
    async with world.archiver(port):
        await wait_for_trouble(port, "ArchiveUnreachable")
        world.server.start()
        await wait_for_metric(port, "sluice_archive_lag_records", lambda lag: lag == 0, world)
        await world.produce(range(500, 700))
        world.server.stop()
        await world.produce(range(700, 1000))
        await wait_for_metric(port, "sluice_archive_lag_records", lambda lag: 300 <= lag <= 500)
        await wait_for_metric(port, "sluice_archive_lag_seconds", lambda age: age > 1e6)
        world.server.start()
        await wait_for_metric(port, "sluice_archive_lag_records", lambda lag: lag == 0)
        await wait_for_metric(port, "sluice_archive_lag_seconds", lambda age: age == 0)
        await world.wait_for(1000)


async def wait_for_metric(
    port: int, name: str, meets: Callable[[float], bool], kept: World | None = None
) -> None:
    """Wait until a metric of a pod meets; and, where ``kept``, that its world has objects."""
    found = ""
    async with asyncio.timeout(40), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
            found = next((each for each in text.splitlines() if each.startswith(f"{name} ")), "")
            if found and meets(float(found.split()[1])) and (kept is None or kept.manifest()):
                return
            await asyncio.sleep(0.2)


async def test_killed_in_the_middle_there_is_no_gap_and_nothing_twice(world: World) -> None:
    await world.produce(range(30_000))
    for number in range(4):
        async with world.archiver() as process:
            await world.wait_for(min((number + 1) * 4000, 30_000))
            await kill(process)
    async with world.archiver():
        await world.wait_for(30_000)
    await world.judge(30_000)
    assert sum(len(entries) for entries in world.manifest().values()) > 20


async def test_two_archivers_share_the_partitions(world: World) -> None:
    async with world.archiver(), world.archiver():
        await world.produce(range(8000))
        await world.wait_for(8000)
    await world.judge(8000)


async def test_a_member_that_was_only_slow_changes_nothing(world: World) -> None:
    """It wakes with records in hand, the same that its successor has kept in other objects."""
    world.configure(timeout="3s")
    port = free_port()
    async with world.archiver(port) as slow:
        await world.produce(range(200))
        await world.wait_for(200)
        await world.produce(range(200, 400))
        await asyncio.sleep(1.5)
        os.killpg(slow.pid, signal.SIGSTOP)
        async with world.archiver():
            await world.wait_for(400)
            await world.produce(range(400, 600))
            os.killpg(slow.pid, signal.SIGCONT)
            await world.produce(range(600, 1000))
            await world.wait_for(1000)
            await asyncio.sleep(3)
    await world.judge(1000)


async def test_a_server_that_is_gone_is_told_and_nothing_is_lost(world: World) -> None:
    port = free_port()
    async with world.archiver(port):
        await world.produce(range(1000))
        await world.wait_for(1000)
        world.server.stop()
        await world.produce(range(1000, 3000))
        await wait_for_trouble(port, "ArchiveUnreachable: the archive's server")
        assert sum((await world.committed()).values()) == 1000
        world.server.start()
        await world.wait_for(3000)
    await world.judge(3000)


async def test_wrong_keys_and_a_missing_bucket_are_told_and_heal(world: World) -> None:
    port, moved = free_port(), world.server.folder / "other-bucket"
    world.server.bucket.rename(moved)
    key = world.folder / "archive" / "secretAccessKey"
    right = key.read_text()
    key.write_text("wrong")
    await world.produce(range(100))
    async with world.archiver(port):
        await wait_for_trouble(port, "ArchiveForbidden: the archive's server")
        key.write_text(right)
        await wait_for_trouble(port, "BucketNotFound: the archive's bucket raw-records does not")
        moved.rename(world.server.bucket)
        await world.wait_for(100)
    await world.judge(100)


async def test_objects_that_are_there_are_taken_as_they_are(world: World) -> None:
    """The group's offsets and the manifest are lost: nothing is written twice."""
    await world.produce(range(3000))
    async with world.archiver():
        await world.wait_for(3000)
    before = {name: data for name, data in world.server.files().items() if "/records/" in name}
    forget_manifest(world)
    await rewind(world)
    async with world.archiver():
        await world.wait_for(3000)
    await world.judge(3000)
    after = {name: data for name, data in world.server.files().items() if "/records/" in name}
    assert after == before


async def test_the_manifest_tells_where_to_go_on_when_the_group_has_forgotten(
    world: World,
) -> None:
    await world.produce(range(1000))
    async with world.archiver():
        await world.wait_for(1000)
    before = world.server.files()
    await rewind(world)
    async with world.archiver():
        await world.wait_for(1000)
    assert world.server.files() == before


def forget_manifest(world: World) -> None:
    job = world.server.bucket / PREFIX / world.job.namespace / world.job.name
    shutil.rmtree(job / RUN / "manifest")


async def rewind(world: World) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.kafka.bootstrap_servers,
        group_id=world.job.group("archive"),
        enable_auto_commit=False,
    )
    await consumer.start()
    places = [TopicPartition(world.topic, partition) for partition in range(4)]
    consumer.assign(places)
    await consumer.commit(dict.fromkeys(places, 0))
    await consumer.stop()
    assert set((await world.committed()).values()) == {0}


async def test_a_foreign_object_in_the_way_is_told(world: World) -> None:
    await world.produce(range(200))
    async with world.archiver():
        await world.wait_for(200)
    files = world.server.files()
    name = next(name for name in files if "/records/" in name)
    (world.server.bucket / name).write_bytes(b"something else")
    forget_manifest(world)
    await rewind(world)
    port = free_port()
    async with world.archiver(port):
        await wait_for_trouble(port, "ArchiveBroken: the object")
        (world.server.bucket / name).unlink()
        await world.wait_for(200)
    assert unpacked(world.server.files()[name])


async def test_servers_without_conditional_writes_are_written_to_as_well(world: World) -> None:
    world.configure(s3={"conditionalWrites": False})
    await world.produce(range(500))
    async with world.archiver() as process:
        await world.wait_for(1)
        await kill(process)
    async with world.archiver():
        await world.wait_for(500)
    await world.judge(500)


async def test_tls_is_verified_by_the_authority_of_the_secret(world: World, tmp_path: Path) -> None:
    authority, certificate, key = make_certificate(tmp_path)
    world.server.stop()
    world.server.certificate = (certificate, key)
    world.server.start()
    world.configure()
    await world.produce(range(100))
    port = free_port()
    async with world.archiver(port) as process:
        await wait_for_trouble(port, "ArchiveUnreachable: the archive's server https://")
        await kill(process)
    (world.folder / "archive" / "ca.crt").write_text(authority.read_text())
    async with world.archiver():
        await world.wait_for(100)
    await world.judge(100)


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and one of 127.0.0.1 that it signed, with its key."""
    authority, certificate = folder / "ca.crt", folder / "tls.crt"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    signed = [
        "-CA",
        authority,
        "-CAkey",
        folder / "ca.key",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    leaf = [*signed, "-addext", "basicConstraints=critical,CA:FALSE", "-subj", "/CN=s3"]
    for command in (
        [*new, "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", authority],
        [*new, *leaf, "-keyout", folder / "tls.key", "-out", certificate],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return authority, certificate, folder / "tls.key"


async def test_a_record_of_another_generation_stops_its_partition_and_skips_nothing(
    world: World,
) -> None:
    world.configure()
    port = free_port()
    await world.produce(range(200))
    foreign = [(wire.GENERATION, b"1"), *headers("run/x", 1)[:3]]
    producer = clients.producer(world.kafka, Compression.NONE)
    await producer.start()
    for partition in range(PARTITIONS):
        await producer.send_and_wait(
            world.topic, key=b"x", value=b"{}", headers=foreign, partition=partition
        )
    await producer.stop()
    async with world.archiver(port):
        await wait_for_trouble(port, "TopicRecreated")
        await world.produce(range(200, 400))
        await asyncio.sleep(4)
        await wait_for_trouble(port, "TopicRecreated")
    lines = await world.judge(200)
    assert {line["value"]["id"] for line in lines} == set(range(200))
