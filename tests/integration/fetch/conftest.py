"""A job, and an API that it asks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from integration.fetch.world import GENERATION, PARTITIONS, MakeWorld, Server, World
from integration.processes import write_folder
from sluice_api.http import Http
from sluice_api.names import JobName
from sluice_api.source import CircuitBreaker, Retry
from sluice_api.spec import Compression
from sluice_workers.settings import FetcherSettings, KafkaConnection, Topic


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_get("/{key}", found.handle)
    app.router.add_get("/customers/{key}/orders", found.handle_orders)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


@pytest.fixture
async def make_world(
    kafka: KafkaConnection,
    job: JobName,
    redis_url: str,
    make_topic: Any,
    server: Server,
    tmp_path: Path,
) -> MakeWorld:
    async def make(*, partitions: int = PARTITIONS, **changes: Any) -> World:
        topics = {
            suffix: Topic(name=await make_topic(suffix, partitions), generation=GENERATION)
            for suffix in ("items", "records", "dead")
        }
        content: dict[str, Any] = {
            "http": Http(url=f"http://127.0.0.1:{server.port}/{{key}}"),
            "retry": Retry.model_validate(
                {"attempts": 3, "backoff": {"initial": "50ms", "max": "2s"}}
            ),
            "circuit_breaker": CircuitBreaker(),
            "allowed_addresses": ("127.0.0.0/8",),
            "processes": 2,
            "concurrency": 50,
            "compression": Compression.ZSTD,
        }
        settings = FetcherSettings(
            namespace=job.namespace,
            name=job.name,
            uid="u",
            **topics,
            **(content | changes),
        )
        files = {
            "settings/fetcher.json": settings.model_dump_json(by_alias=True),
            "kafka/bootstrapServers": kafka.bootstrap_servers,
            "redis/url": redis_url,
        }
        write_folder(tmp_path, files)
        return World(kafka, job, redis_url, tmp_path, settings, partitions)

    return make
