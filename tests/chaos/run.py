"""One run: services and writers, faults while records are produced, and the judgement."""

import asyncio
from typing import Final

import asyncpg

from chaos import services
from chaos.evidence import collect, committed
from chaos.faults import KAFKA, POSTGRES, REDIS, length, schedule
from chaos.injector import Injector
from chaos.invariants import Wrong, judge
from chaos.job import HISTORY, PARTITIONS, Job, Servers
from chaos.nodes import Node, make_network
from chaos.producer import Load
from chaos.records import stream
from chaos.recovery import AFTERWARDS, DRAIN, Places, Recovery
from chaos.report import Outcome
from sluice_api.sink import Buffer, WriteMode
from sluice_dev.images import services_root
from sluice_dev.progress import Progress
from sluice_workers.settings import KafkaConnection

JOBS: Final = {
    "upsert": (WriteMode.UPSERT, Buffer.TRANSACTIONAL),
    "append": (WriteMode.APPEND, Buffer.TRANSACTIONAL),
    "durable": (WriteMode.UPSERT, Buffer.DURABLE),
}
WRITERS: Final = {"upsert": 3, "append": 2, "durable": 2}
"""The writers of each job's group."""


class Run:
    """The parts of a run, to be made inside its namespaces."""

    def __init__(self, seed: int, count: int) -> None:
        make_network()
        self._progress = Progress()
        with self._progress.step("starting Kafka, Postgres and Redis"):
            self._nodes = self._services(self._progress)
        servers = Servers(
            KafkaConnection(bootstrap_servers=f"{self._nodes[KAFKA].address}:9092"),
            f"postgresql://sluice@{self._nodes[POSTGRES].address}/warehouse",
            f"redis://{self._nodes[REDIS].address}:6379/0",
        )
        self._servers = servers
        self._jobs = [Job(name, *how, servers) for name, how in JOBS.items()]
        self._loads = {
            job.name: Load(servers.kafka, job.topic("records").name, stream(seed))
            for job in self._jobs
        }
        self._recovery = Recovery(self._written, self._loads)
        self._writers = self._make_writers()
        self._nodes |= self._writers
        self.faults = schedule(seed, count, list(self._writers))

    async def _written(self) -> Places:
        connection = await asyncpg.connect(self._servers.uri)
        try:
            return await committed(connection)
        finally:
            connection.terminate()

    @staticmethod
    def _services(progress: Progress) -> dict[str, Node]:
        services.prepare(services_root(progress))
        nodes = {
            POSTGRES: services.postgres(POSTGRES, 2),
            KAFKA: services.kafka(KAFKA, 3),
            REDIS: services.redis(REDIS, 4),
        }
        for node in nodes.values():
            node.start()
        for name, port in ((POSTGRES, 5432), (KAFKA, 9092), (REDIS, 6379)):
            services.wait_for_port(nodes[name], port)
        services.create_database("warehouse")
        return nodes

    def _make_writers(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for job in self._jobs:
            for number in range(WRITERS[job.name]):
                name = f"{job.name}-{number}"
                found[name] = Node(name, 10 + len(found), job.writer_command)
        return found

    async def go(self) -> Outcome:
        """Hurt the writers while they write, let them come to the end, and judge."""
        await self._prepare()
        for node in self._writers.values():
            node.start()
        seconds = length(self.faults)
        injector = Injector(self._nodes, self.faults, self._recovery.healed)
        try:
            # Whatever of the run's own fails ends the run: nothing is judged half seen.
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._recovery.run())
                await self._settle()
                with self._progress.step(f"{len(self.faults)} faults in {seconds:.0f} s"):
                    await self._endure(injector, seconds)
                with self._progress.step("everything is healed: to the end of the topics"):
                    drained = await self._recovery.drain()
                following.cancel()
        finally:
            injector.stopping.set()
        return await self._judge(drained)

    async def _endure(self, injector: Injector, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(injector.run))
            for load in self._loads.values():
                group.create_task(load.run(seconds + AFTERWARDS))

    async def _judge(self, drained: float) -> Outcome:
        verdict, records, transactions = Wrong(), 0, 0
        for job in self._jobs:
            evidence = await collect(job, self._loads[job.name], self._servers.uri)
            verdict.add(judge(evidence))
            records += len(evidence.messages)
            transactions += len({move.transaction for move in evidence.moved})
        work = f"{records:,} records in {transactions:,} transactions"
        return Outcome(self.faults, self._recovery.seconds, verdict, work, drained)

    async def _prepare(self) -> None:
        for job in self._jobs:
            await job.make_topics()
            await asyncio.to_thread(job.migrate)
        connection = await asyncpg.connect(self._servers.uri)
        await connection.execute(HISTORY)
        for job in self._jobs:
            await job.watch(connection)
        await connection.close()

    async def _settle(self) -> None:
        """Wait until the writers have claimed all partitions."""
        async with asyncio.timeout(DRAIN):
            while len(self._recovery.at) < PARTITIONS * len(self._jobs):
                await asyncio.sleep(0.2)
