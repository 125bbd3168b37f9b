"""The job of the run: its topics, its pods' configuration."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chaos.fetch.api import PORT
from integration.processes import write_folder
from sluice_api.http import Http
from sluice_api.names import JobName
from sluice_api.source import CircuitBreaker, Proxies, RateLimit, Retry
from sluice_api.spec import Compression
from sluice_workers.settings import FetcherSettings, KafkaConnection, Topic

GENERATION: Final = 7
PARTITIONS: Final = 6
FOLDER: Final = Path("/run/jobs/fetch")
CAP: Final = 5
"""Connections a proxy."""
TOTAL: Final = 12
"""Connections over all proxies."""
LIMIT: Final = 100
BURST: Final = 12
_BREAKER: Final = {"failures": 5, "pause": {"initial": "1s", "max": "3s"}}
SETTINGS: Final[dict[str, Any]] = {
    "processes": 2,
    "concurrency": 10,
    "compression": Compression.LZ4,
    "retry": Retry.model_validate({"attempts": 6, "backoff": {"initial": "100ms", "max": "2s"}}),
    "circuit_breaker": CircuitBreaker.model_validate(_BREAKER),
    "rate_limit": RateLimit(requests=LIMIT, burst=BURST),
    "max_connections": TOTAL,
    "proxies": Proxies.model_validate(
        {
            "secretRef": {"name": "proxies"},
            "maxConnectionsPerProxy": CAP,
            "circuitBreaker": _BREAKER,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Job:
    """The one job, whose pods form one group."""

    connection: KafkaConnection

    @property
    def names(self) -> JobName:
        """The names that follow from its own."""
        return JobName("chaos", "fetch")

    def topic(self, suffix: str) -> Topic:
        """Return one of its topics."""
        return Topic(name=self.names.topic(suffix), generation=GENERATION)

    @property
    def command(self) -> list[str]:
        """Return the command of a pod."""
        return [sys.executable, "-m", "sluice_cli", "fetch", "--folder", str(FOLDER)]

    def configure(self, redis_url: str, api: str, proxies: list[str]) -> None:
        """Write the pods' configuration; ``api`` is the API's address, ``proxies`` are URLs."""
        settings = FetcherSettings(
            namespace="chaos",
            name="fetch",
            uid="fetch",
            items=self.topic("items"),
            records=self.topic("records"),
            dead=self.topic("dead"),
            http=Http.model_validate(
                {"url": f"http://{api}:{PORT}/{{kind}}/{{key}}/{{number}}", "timeout": "5s"}
            ),
            **SETTINGS,
        )
        files = {
            "settings/fetcher.json": settings.model_dump_json(by_alias=True),
            "kafka/bootstrapServers": self.connection.bootstrap_servers,
            "redis/url": redis_url,
            "proxies/proxies": "\n".join(proxies),
        }
        write_folder(FOLDER, files)

    async def make_topics(self) -> None:
        """Create the topics of items, of records and of what is given up."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.connection.bootstrap_servers)
        await admin.start()
        try:
            names = [self.topic(suffix).name for suffix in ("items", "records", "dead")]
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
        finally:
            await admin.close()
