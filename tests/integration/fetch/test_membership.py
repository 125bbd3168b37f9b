"""Fetchers that come, go, die and freeze: whose a partition is, and what is committed of it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition

from integration.fetch.world import (
    PARTITIONS,
    MakeWorld,
    Server,
    World,
    fetched,
    fetcher,
    keys,
    numbers,
    told,
)
from integration.processes import free_port, pod
from sluice_workers.settings import KafkaConnection

SESSION = 6.0
"""Seconds after which the group gives a frozen member's partitions to others."""


async def assigned(*ports: int) -> list[list[int]]:
    """The partitions of each process of each pod."""
    states = [json.loads(await fetched(port, "/state")) for port in ports]
    return [process["assigned"] for state in states for process in state["processes"]]


async def settled(partitions: int, *ports: int) -> list[list[int]]:
    """Wait until each partition is in exactly one process, and each process has one."""
    async with asyncio.timeout(40):
        while True:
            try:
                found = await assigned(*ports)
            except OSError:
                found = []
            if sorted(chain.from_iterable(found)) == list(range(partitions)) and all(found):
                return found
            await asyncio.sleep(0.1)


def event_loops(parent: int) -> Iterator[int]:
    for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            yield pid


async def test_a_process_that_dies_is_told_of_and_replaced(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(partitions=8, concurrency=10)
    await world.seed(*numbers(6000))
    ports = free_port(), free_port()
    with (tmp_path / "log").open("wb") as output:
        async with (
            pod("fetch", world.folder, port=ports[0], output=output) as first,
            pod("fetch", world.folder, port=ports[1]),
        ):
            assert len(await settled(8, *ports)) == 4
            os.kill(next(event_loops(first.pid)), signal.SIGKILL)
            assert "ended with exit code -9" in await told(ports[0], "ProcessEnded")
            assert len(await settled(8, *ports)) == 4
            metrics = await fetched(ports[0], "/metrics")
            await world.wait_committed(6000)
    assert 'sluice_process_restarts_total{process="0"} 1.0' in metrics
    assert "It is started again in" in (tmp_path / "log").read_text()
    assert set(keys(await world.read(world.settings.records))) == set(numbers(6000))


async def test_what_is_in_flight_goes_on_where_its_partition_stays(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        await asyncio.sleep(3)
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world(processes=1, concurrency=200)
    await world.seed(*numbers(1200))
    ports = free_port(), free_port()
    async with pod("fetch", world.folder, port=ports[0]):
        await settled(PARTITIONS, ports[0])
        async with pod("fetch", world.folder, port=ports[1]):
            stayed, moved = await settled(PARTITIONS, *ports)
            await world.wait_committed(1200)
    place = {m.key.decode(): m.partition for m in await world.read(world.settings.items)}
    repeated = {place[key] for key, times in server.asked.items() if times > 1}
    assert len(stayed) == len(moved) == PARTITIONS / 2
    assert repeated <= set(moved)
    assert set(keys(await world.read(world.settings.records))) == set(numbers(1200))


async def test_nothing_is_committed_that_is_not_done_or_not_ones_own(
    make_world: MakeWorld, server: Server, kafka: KafkaConnection
) -> None:
    answered: set[str] = set()

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        await asyncio.sleep(0.05 + int(key) % 7 / 20)
        answered.add(key)
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world(concurrency=20)
    await world.seed(*numbers(6000))
    async with committed_offsets(world, kafka, answered) as watch, fetcher(world):
        await watch.until(200)
        async with fetcher(world) as frozen:
            await watch.until(1500)
            os.killpg(frozen.pid, signal.SIGSTOP)
            await asyncio.sleep(SESSION + 3)
            await watch.until(2500)
            os.killpg(frozen.pid, signal.SIGCONT)
            await watch.until(4000)
        await watch.until(6000)
    assert watch.samples > 100
    assert watch.mistakes == []
    assert set(keys(await world.read(world.settings.records))) == set(numbers(6000))


class CommittedOffsets:
    """What the group has committed, looked at over and over."""

    def __init__(self, world: World, consumer: AIOKafkaConsumer, answered: set[str]) -> None:
        self._consumer = consumer
        self._answered = answered
        name = world.settings.items.name
        self._seen = {TopicPartition(name, number): 0 for number in range(world.partitions)}
        self._keys: dict[tuple[int, int], str] = {}
        self.samples = 0
        self.mistakes: list[str] = []

    def note_items(self, items: list[object]) -> None:
        self._keys = {(m.partition, m.offset): m.key.decode() for m in items}  # type: ignore[attr-defined]

    async def look(self) -> None:
        for place, before in self._seen.items():
            offset = await self._consumer.committed(place) or 0
            if offset < before:
                self.mistakes.append(f"{place} went back from {before} to {offset}")
            for passed in range(before, offset):
                if self._keys[place.partition, passed] not in self._answered:
                    self.mistakes.append(f"{place}: {passed} is committed and not done")
            self._seen[place] = offset
        self.samples += 1

    async def until(self, total: int) -> None:
        async with asyncio.timeout(90):
            while sum(self._seen.values()) < total:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def committed_offsets(
    world: World, kafka: KafkaConnection, answered: set[str]
) -> AsyncIterator[CommittedOffsets]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=world.job.group("fetch"),
        enable_auto_commit=False,
    )
    await consumer.start()
    watch = CommittedOffsets(world, consumer, answered)
    watch.note_items(await world.read(world.settings.items))

    async def look() -> None:
        while True:
            await watch.look()
            await asyncio.sleep(0.03)

    task = asyncio.create_task(look())
    try:
        yield watch
    finally:
        task.cancel()
        await consumer.stop()
