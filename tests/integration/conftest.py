"""The real parts that integration tests use: addresses from the environment, names of their own."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from sluice_api.names import JobName
from sluice_workers.settings import KafkaConnection


def address(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        pytest.fail(f"{variable} is not set: integration tests run by `make test`", pytrace=False)
    return found


@pytest.fixture
def kafka() -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=address("SLUICE_TEST_KAFKA"))


@pytest.fixture
async def redis_url(job: JobName) -> AsyncIterator[str]:
    url = address("SLUICE_TEST_REDIS")
    yield url
    client = Redis.from_url(url)
    keys = [key async for key in client.scan_iter(match=job.redis_key("*"))]
    if keys:
        await client.delete(*keys)
    await client.aclose()


@pytest.fixture
async def postgres_uri() -> AsyncIterator[str]:
    """A database of the test's own."""
    server = address("SLUICE_TEST_POSTGRES")
    name = f"test_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    yield server.rpartition("/")[0] + f"/{name}"
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def job() -> JobName:
    """A job that no other test has."""
    return JobName("test", f"job-{uuid.uuid4().hex[:8]}")


MakeTopic = Callable[..., Awaitable[str]]


@pytest.fixture
async def make_topic(kafka: KafkaConnection, job: JobName) -> AsyncIterator[MakeTopic]:
    """Creates topics of the job, and deletes them afterwards."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    made: list[str] = []

    async def make(suffix: str, partitions: int = 4) -> str:
        name = job.topic(suffix)
        # As the operator's: the broker's own limit would delete records with old timestamps.
        forever = {"retention.ms": "-1"}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=forever)])
        made.append(name)
        return name

    yield make
    await admin.delete_topics(made)
    await admin.close()
