"""A job under test: its topics, its folder, and the API that its fetchers ask."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from integration.processes import pod, write_folder
from sluice_api.names import JobName
from sluice_api.source import Items
from sluice_api.spec import Compression
from sluice_workers import dead_topic, failed_set, kafka, wire
from sluice_workers.seed.seed import seed
from sluice_workers.settings import FetcherSettings, KafkaConnection, SeedSettings, Topic

GENERATION = 9
PARTITIONS = 4
Answer = Callable[[str, int], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """An API that tells how often and when each key was asked for."""

    port: int = 0
    answer: Answer | None = None
    orders: Callable[[web.Request], Awaitable[web.Response]] | None = None
    """What answers requests for a customer's orders."""
    asked: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        self.asked[key] += 1
        self.times[key].append(time.monotonic())
        if self.answer is not None:
            return await self.answer(key, self.asked[key])
        await asyncio.sleep(0.02)
        return web.json_response({"id": key})

    async def handle_orders(self, request: web.Request) -> web.Response:
        if self.orders is None:
            return web.Response(status=404)
        return await self.orders(request)


@dataclass
class World:
    """A job's topics and configuration folder."""

    kafka: KafkaConnection
    job: JobName
    redis_url: str
    folder: Path
    settings: FetcherSettings
    partitions: int = PARTITIONS

    async def seed(self, *keys: str) -> int:
        items = Items.model_validate({"configMap": {"name": "ids"}})
        write_folder(self.folder, {"items/items": "\n".join(keys)})
        settings = SeedSettings(
            namespace=self.job.namespace,
            name=self.job.name,
            uid="u",
            run="r-1",
            items=items,
            topic=self.settings.items,
            compression=Compression.ZSTD,
        )
        write_folder(self.folder, {"settings/seed.json": settings.model_dump_json(by_alias=True)})
        return await seed(self.folder)

    async def read(self, topic: Topic) -> list[Any]:
        """Everything that a topic holds now, as readers see it: nothing that was aborted."""
        partitions = range(self.partitions)
        async with kafka.reader(
            self.kafka, topic.name, partitions, isolation="read_committed"
        ) as consumer:
            found: list[Any] = []
            for place in sorted(consumer.assignment()):
                start, end = await dead_topic.bounds(consumer, place)
                found += [each async for each in dead_topic.scan(consumer, place, start, end)]
            return found

    async def committed(self) -> int:
        async with self._member() as consumer:
            places = [TopicPartition(self.settings.items.name, p) for p in range(self.partitions)]
            return sum([await consumer.committed(place) or 0 for place in places])

    async def move_back(self, partition: int, offset: int) -> None:
        """Have the group, which must be empty, do again what is there from an offset on."""
        place = TopicPartition(self.settings.items.name, partition)
        async with self._member() as consumer:
            consumer.assign([place])
            await consumer.commit({place: offset})

    @asynccontextmanager
    async def _member(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            group_id=self.job.group("fetch"),
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def wait_committed(self, total: int, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while await self.committed() < total:
                await asyncio.sleep(0.3)

    async def wait_drained(self, seconds: float = 60) -> None:
        """Wait until the group has passed the topic's ends, marks of transactions included."""
        name = self.settings.items.name
        async with kafka.reader(
            self.kafka, name, range(PARTITIONS), isolation="read_uncommitted"
        ) as consumer:
            ends = [(await dead_topic.bounds(consumer, p))[1] for p in consumer.assignment()]
        try:
            await self.wait_committed(sum(ends), seconds)
        except TimeoutError as error:
            found = await self.committed()
            raise AssertionError(f"committed {found} of {sum(ends)}, ends {ends}") from error

    @property
    def failed_key(self) -> str:
        return failed_set.redis_key(self.job, GENERATION)

    async def failed(self) -> set[str]:
        redis = Redis.from_url(self.redis_url, decode_responses=True)
        try:
            return set(await redis.hkeys(self.failed_key)) - {failed_set.STATE}
        finally:
            await redis.aclose()


MakeWorld = Callable[..., Awaitable[World]]


def fetcher(world: World) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return pod("fetch", world.folder)


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def keys(messages: list[Any]) -> Counter[str]:
    return Counter(message.key.decode() for message in messages)


def dead_items(messages: list[Any]) -> list[wire.DeadItem]:
    """The dead items among the messages of a dead topic: marks have no value."""
    return [parsed(message) for message in messages if message.value is not None]


def parsed(message: Any) -> wire.DeadItem:
    return wire.DeadItem.model_validate_json(message.value)


async def fetched(port: int, path: str) -> str:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def told(port: int, reason: str) -> str:
    """Wait until the pod tells of a trouble."""
    async with asyncio.timeout(40):
        while True:
            try:
                state = await fetched(port, "/state")
            except aiohttp.ClientError:
                state = ""
            if reason in state:
                return state
            await asyncio.sleep(0.2)
