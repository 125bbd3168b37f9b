"""One run: services and fetchers, faults while items are produced, and the judgement."""

import asyncio
import time
from typing import Final

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient

from chaos import services
from chaos.faults import KAFKA, REDIS, Kind, length, schedule
from chaos.fetch import api, evidence
from chaos.fetch.connections import Connections
from chaos.fetch.invariants import judge
from chaos.fetch.items import stream
from chaos.fetch.job import Job
from chaos.fetch.menu import API, MENU, PROXIES
from chaos.injector import Injector
from chaos.nodes import Node, make_network
from chaos.producer import Load
from chaos.recovery import AFTERWARDS, DRAIN, Places, Recovery
from chaos.report import Outcome
from sluice_dev.binaries import proxies as proxy_programs
from sluice_dev.images import services_root
from sluice_dev.progress import Progress
from sluice_workers.settings import KafkaConnection

PODS: Final = 3
RATE: Final = 40
"""Items a second."""
FELT: Final = 20.0
"""Seconds after its healing for which a fault explains that items are asked for again: a restart, a
session that ends, a rebalance."""
DELAYED: Final = 3.0
"""Seconds after its healing for which a fault explains that requests come together."""
INDEXED: Final = 5.0
"""Seconds that the failed set has to be complete again."""
STATE_PORT: Final = 8080


class Run:
    """The parts of a run, to be made inside its namespaces."""

    def __init__(self, seed: int, count: int) -> None:
        make_network()
        self._progress = Progress()
        with self._progress.step("starting Kafka, Redis, proxies and the API"):
            self._nodes = self._services(self._progress)
        kafka = f"{self._nodes[KAFKA].address}:9092"
        self._redis_url = f"redis://{self._nodes[REDIS].address}:6379/0"
        self._job = Job(KafkaConnection(bootstrap_servers=kafka))
        self._job.configure(self._redis_url, self._nodes[API].address, self._proxy_urls())
        self._load = Load(self._job.connection, self._job.topic("items").name, stream(seed), RATE)
        self._commits: list[tuple[float, int, int]] = []
        self._admin: AIOKafkaAdminClient | None = None
        self._recovery = Recovery(self._committed, {"fetch": self._load})
        self._pods = {
            name: Node(name, 10 + number, self._job.command)
            for number in range(PODS)
            for name in [f"fetcher-{number}"]
        }
        self._connections = Connections(
            list(self._pods.values()), {name: self._nodes[name] for name in PROXIES}
        )
        self._nodes |= self._pods
        self.faults = schedule(seed, count, list(self._pods), MENU)

    @staticmethod
    def _services(progress: Progress) -> dict[str, Node]:
        services.prepare(services_root(progress))
        programs = proxy_programs(progress)
        services.answer_with("")
        http = [services.proxy(name, 6 + at, programs) for at, name in enumerate(PROXIES[:2])]
        nodes = [
            services.kafka(KAFKA, 3),
            services.redis(REDIS, 4),
            services.python(API, 5, "chaos.fetch.api"),
            *http,
            services.socks(PROXIES[2], 8, programs),
        ]
        ports = (9092, 6379, api.PORT, *[services.PROXY_PORT] * len(PROXIES))
        for node in nodes:
            node.start()
        for node, port in zip(nodes, ports, strict=True):
            services.wait_for_port(node, port)
        return {node.name: node for node in nodes}

    def _proxy_urls(self) -> list[str]:
        schemes = ("http", "http", "socks5")
        return [
            f"{scheme}://{self._nodes[name].address}:{services.PROXY_PORT}"
            for scheme, name in zip(schemes, PROXIES, strict=True)
        ]

    async def go(self) -> Outcome:
        """Hurt the fetchers while they fetch, let them come to the end, and judge."""
        await self._job.make_topics()
        for node in self._pods.values():
            node.start()
        await self._settle()
        began, seconds = time.monotonic(), length(self.faults)
        injector = Injector(self._nodes, self.faults, self._recovery.healed)
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._recovery.run())
                group.create_task(asyncio.to_thread(self._connections.run))
                with self._progress.step(f"{len(self.faults)} faults in {seconds:.0f} s"):
                    async with asyncio.TaskGroup() as enduring:
                        enduring.create_task(asyncio.to_thread(injector.run))
                        enduring.create_task(self._load.run(seconds + AFTERWARDS))
                with self._progress.step("everything is healed: to the end of the topic"):
                    drained = await self._recovery.drain()
                await asyncio.sleep(INDEXED)
                following.cancel()
                self._connections.stopping.set()
        finally:
            injector.stopping.set()
            self._connections.stopping.set()
        return await self._judge(began, injector.started, drained)

    async def _judge(self, began: float, started: float, drained: float) -> Outcome:
        # Pods that have just started exchange their partitions.
        hurt = [(began, began + FELT)]
        hurt += [(started + each.at, started + each.healed + FELT) for each in self.faults]
        held_up = [
            (started + each.at, started + each.healed + DELAYED)
            for each in self.faults
            if each.kind in {Kind.CUT, Kind.MUTE, Kind.ISOLATE}
            or (each.kind is Kind.STOP and each.target in {API, *self._pods})
        ]
        found = await evidence.collect(
            self._job,
            self._redis_url,
            self._load,
            self._commits,
            self._connections.most,
            hurt,
            held_up,
        )
        requests = sum(request.status == 0 for request in found.requests)
        work = f"{len(found.messages):,} items in {requests:,} requests"
        return Outcome(self.faults, self._recovery.seconds, judge(found), work, drained)

    async def _settle(self) -> None:
        """Wait until every process of every pod is a member of the group."""
        async with asyncio.timeout(DRAIN), aiohttp.ClientSession() as session:
            for pod in self._pods.values():
                while not await _ready(session, f"http://{pod.address}:{STATE_PORT}/state"):
                    await asyncio.sleep(0.2)

    async def _committed(self) -> Places:
        admin, self._admin = self._admin, None
        if admin is None:
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self._job.connection.bootstrap_servers, request_timeout_ms=1500
            )
            await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self._job.names.group("fetch"))
        except BaseException:
            await admin.close()
            raise
        self._admin = admin
        now = time.monotonic()
        offsets = {place.partition: each.offset for place, each in found.items()}
        self._commits += [(now, *each) for each in offsets.items()]
        return {("fetch", partition): offset for partition, offset in offsets.items()}


async def _ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=1)) as answer:
            processes = (await answer.json())["processes"]
    except (aiohttp.ClientError, TimeoutError):
        return False
    return len(processes) > 1 and all(each["ready"] for each in processes)
