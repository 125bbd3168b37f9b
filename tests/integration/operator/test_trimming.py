"""Retention on a real broker, Postgres and Redis: what goes, and what stays for whom."""

import base64
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from integration.conftest import MakeTopic
from operator_examples import archived, spec
from sluice_api.names import JobName
from sluice_api.status import IngestionJobStatus, TopicsStatus, TopicStatus
from sluice_dev.target import Target
from sluice_migrations import environment
from sluice_migrations.database import within
from sluice_operator import trimming
from sluice_operator.broker import Broker
from sluice_operator.kube import Kubernetes
from sluice_operator.observe import Observer
from sluice_operator.observed import Job, Observation
from sluice_operator.settings import OperatorSettings
from sluice_operator.trimming import Trimming
from sluice_workers import dead_topic, wire
from sluice_workers.failed_set import FailedSet
from sluice_workers.settings import KafkaConnection

OLD, YOUNG = 10, 6
"""Messages of each topic that are two hours old, and such as are new."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is due."""
    monkeypatch.setattr(trimming, "EVERY", 0)
    monkeypatch.setattr(trimming, "PRUNE_EVERY", 0)


@pytest.fixture
def job(where: Target) -> JobName:
    return JobName(where.jobs, "users")


class World:
    """A job's topics with old and young messages in one partition, and what reads them."""

    def __init__(self, job: Job, trimming: Trimming, seen: Observation, broker: Broker) -> None:
        self.job, self._trimming, self._seen, self._broker = job, trimming, seen, broker
        self.kafka, self.uri = seen.kafka, ""

    async def commit(self, verb: str, topic: str, offset: int) -> None:
        assert self.kafka is not None
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            group_id=self.job.name.group(verb),
            enable_auto_commit=False,
        )
        await consumer.start()
        place = TopicPartition(self.job.name.topic(topic), 0)
        consumer.assign([place])
        await consumer.commit({place: offset})
        await consumer.stop()

    async def write(self, offset: int) -> None:
        await self.execute(
            "INSERT INTO sluice.offsets (job_uid, generation, partition, job, next_offset, epoch)"
            f" VALUES ('{self.job.uid}', 5, 0, 'x', {offset}, 1) ON CONFLICT"
            " (job_uid, generation, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset"
        )

    async def execute(self, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self.uri)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def look(self) -> tuple[int, int]:
        """Trim once; return where items and records start then."""
        assert await self._trimming.look(self.job, await self.seen()) == ()
        after = await self.seen()
        assert after.items is not None
        assert after.records is not None
        return after.items.starts[0], after.records.starts[0]

    async def seen(self) -> Observation:
        offsets = [
            await self._broker.offsets(self.job.name.topic(topic), 1, self.job.name.group(verb))
            for topic, verb in (("items", "fetch"), ("records", "write"), ("records", "archive"))
        ]
        items, records, archived = offsets
        return replace(
            self._seen, now=datetime.now(UTC), items=items, records=records, archived=archived
        )


async def _fill(kafka: KafkaConnection, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    now = int(time.time() * 1000)
    times: Sequence[int] = [now - 7_200_000] * OLD + [now] * YOUNG
    for at in times:
        await producer.send_and_wait(topic, b"{}", key=b"k", timestamp_ms=at)
    await producer.stop()


@pytest.fixture
async def world(
    where: Target,
    job: JobName,
    administrator: Kubernetes,
    kafka: KafkaConnection,
    redis_url: str,
    postgres_uri: str,
    make_topic: MakeTopic,
) -> AsyncIterator[World]:
    for suffix in ("items", "records"):
        await _fill(kafka, await make_topic(suffix, 1))
    await within(postgres_uri, environment.upgrade)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "warehouse", "namespace": where.jobs},
        "data": {"uri": base64.b64encode(postgres_uri.encode()).decode()},
    }
    await administrator.apply(secret)
    topics = TopicsStatus(
        **{each: TopicStatus(name=job.topic(each), generation=5) for each in SUFFIXES}
    )
    asked = spec(topics={"partitions": 1, "retention": "1h"})
    found = Job(job, "uid-1", 1, asked, IngestionJobStatus(topics=topics))
    settings = OperatorSettings.model_validate(
        {"SLUICE_WORKER_IMAGE": "x", "given": {"SLUICE_REDIS_URL": redis_url, "kafka": kafka}}
    )
    seen = Observation(
        now=datetime.now(UTC), kafka=kafka, redis_url=redis_url, partitions={job.topic("items"): 1}
    )
    async with aiohttp.ClientSession() as http:
        observer = Observer(administrator, settings, http)
        made = World(found, Trimming(administrator, observer), seen, observer.broker(kafka))
        made.uri = postgres_uri
        yield made
        await observer.close()


SUFFIXES = ("items", "records", "dead")


@pytest.fixture
async def failed(world: World, redis_url: str) -> AsyncIterator[FailedSet]:
    client = Redis.from_url(redis_url)
    found = FailedSet(client, world.job.name, 5)
    building = await found.begin()
    assert building is not None
    await found.rebuild(building, {})
    yield found
    await client.aclose()


async def test_what_is_old_goes_once_every_reader_has_it(world: World, failed: FailedSet) -> None:
    assert await world.look() == (0, 0), "no group has read anything"
    await world.commit("fetch", "items", 4)
    await world.commit("write", "records", 7)
    assert await world.look() == (0, 0), "the sink has no offset"
    await world.write(3)
    assert await world.look() == (0, 3), "the sink is behind the group: it was restored"
    await world.write(OLD + YOUNG)
    assert await world.look() == (0, 7), "records of the first items may still be refused"
    await world.commit("write", "records", OLD + YOUNG)
    assert await world.look() == (4, OLD)
    await world.commit("fetch", "items", OLD + YOUNG)
    assert await world.look() == (OLD, OLD), "what is young stays"
    assert await failed.complete()


async def test_archivers_are_readers_too(world: World, failed: FailedSet) -> None:
    world.job = replace(world.job, spec=spec(topics={"retention": "0s"}, sink=archived()))
    await world.write(OLD + YOUNG)
    await world.commit("write", "records", OLD + YOUNG)
    assert await world.look() == (0, 0)
    await world.commit("archive", "records", 2)
    assert await world.look() == (0, 2)
    assert await failed.complete()


async def test_nothing_goes_unless_it_is_asked_for(world: World, failed: FailedSet) -> None:
    world.job = replace(world.job, spec=spec(topics={}))
    await world.write(OLD + YOUNG)
    await world.commit("write", "records", OLD + YOUNG)
    await world.commit("fetch", "items", OLD + YOUNG)
    assert await world.look() == (0, 0)
    assert await failed.complete()


async def test_items_stay_that_a_redrive_reads_again(world: World, failed: FailedSet) -> None:
    world.job = replace(world.job, spec=spec(topics={"retention": "0s"}))
    await world.commit("fetch", "items", OLD + YOUNG)
    await world.commit("write", "records", OLD + YOUNG)
    version = wire.record_version(5, 3)
    await failed.add({"k": dead_topic.failure_rank(version, record=True)})
    assert await world.look() == (3, 0)
    await failed.take_out({"k": dead_topic.success_rank(wire.record_version(5, 4))})
    assert await world.look() == (OLD + YOUNG, 0)


async def test_items_stay_while_the_failed_set_is_lost(world: World) -> None:
    await world.commit("write", "records", OLD + YOUNG)
    await world.commit("fetch", "items", OLD + YOUNG)
    assert await world.look() == (0, 0)


async def test_record_ids_go_only_when_no_item_is_left_to_fetch_again(
    world: World, failed: FailedSet
) -> None:
    apart = spec().sink.model_dump(mode="json", by_alias=True)
    apart["postgres"] |= {"mode": "Append", "recordIds": "Apart", "key": []}
    world.job = replace(world.job, spec=spec(topics={"retention": "1h"}, sink=apart))
    await world.execute(
        "INSERT INTO sluice.record_ids SELECT 'uid-1', 'r#' || n, 5, 0, n"
        f" FROM generate_series(0, {OLD + YOUNG - 1}) AS n"
    )
    left = "SELECT count(*)::int FROM sluice.record_ids"
    await world.commit("write", "records", OLD + YOUNG)
    await world.write(OLD + YOUNG)
    await world.commit("fetch", "items", 4)
    assert await world.look() == (4, OLD)
    assert await world.execute(left) == [(OLD + YOUNG,)], "items 4 to 9 may be fetched again"
    await world.commit("fetch", "items", OLD)
    assert await world.look() == (OLD, OLD)
    assert await world.execute(left) == [(YOUNG,)]
    assert await failed.complete()


async def test_record_ids_of_what_is_archived_stay(world: World, failed: FailedSet) -> None:
    apart = archived()
    apart["postgres"] |= {"mode": "Append", "recordIds": "Apart", "key": []}
    world.job = replace(world.job, spec=spec(topics={"retention": "1h"}, sink=apart))
    await world.execute("INSERT INTO sluice.record_ids VALUES ('uid-1', 'r#1', 5, 0, 1)")
    for verb, topic in (("fetch", "items"), ("write", "records"), ("archive", "records")):
        await world.commit(verb, topic, OLD + YOUNG)
    await world.write(OLD + YOUNG)
    assert await world.look() == (OLD, OLD)
    assert await world.execute("SELECT record_id FROM sluice.record_ids") == [("r#1",)]
    assert await failed.complete()


async def test_what_hinders_is_told_until_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "EVERY", 30)
    await world.commit("fetch", "items", OLD)
    await world.commit("write", "records", OLD + YOUNG)
    seen = replace(await world.seen(), redis_url="redis://127.0.0.1:1/0")
    trimmed = world._trimming  # noqa: SLF001
    (trouble,) = await trimmed.look(world.job, seen)
    assert trouble.reason == "RedisUnreachable"
    assert trouble.message.startswith("topics are not trimmed: ")
    assert await trimmed.look(world.job, await world.seen()) == (trouble,)
    monkeypatch.setattr(trimming, "EVERY", 0)
    await world.execute("ALTER TABLE sluice.offsets RENAME next_offset TO hidden")
    (trouble,) = await trimmed.look(world.job, await world.seen())
    assert (trouble.reason, "hidden" in trouble.message) == ("TrimmingFailed", False)
    assert 'column "next_offset" does not exist' in trouble.message
    await world.execute("ALTER TABLE sluice.offsets RENAME hidden TO next_offset")
    assert await trimmed.look(world.job, await world.seen()) == ()
