"""Debezium's JDBC sink on Kafka Connect, in a JVM of its own, over the same topic."""

import json
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from sluice_benchmarks.database import Database
from sluice_benchmarks.figures import Figures, watch
from sluice_benchmarks.job import broker
from sluice_dev import binaries
from sluice_dev.processes import TETHER
from sluice_dev.progress import Progress

HEAP: Final = "-Xmx1g"
FIELDS: Final = (
    ("id", "int64", None),
    ("name", "string", None),
    ("email", "string", None),
    ("active", "boolean", None),
    ("score", "double", None),
    ("updated_at", "string", "io.debezium.time.ZonedTimestamp"),
)
SCHEMA: Final = {
    "type": "struct",
    "name": "record",
    "optional": False,
    "fields": [
        {"field": field, "type": kind, "optional": field != "id"}
        | ({"name": name, "version": 1} if name else {})
        for field, kind, name in FIELDS
    ],
}
WORKER: Final = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "true",
    "value.converter.schema.content": json.dumps(SCHEMA),
    "consumer.auto.offset.reset": "earliest",
    "plugin.discovery": "hybrid_warn",
    "listeners": "http://127.0.0.1:0",
}
FAST: Final = {
    "batch.size": "5000",
    "use.reduction.buffer": "true",
    "dialect.postgres.unnest.insert.enabled": "true",
}
"""What makes the sink as fast as it can be; without it, its defaults."""


def load(database: Database, topic: str, count: int, table: str, *, fast: bool) -> Figures:
    """Write the topic's first ``count`` records. Raises ``RuntimeError`` when the sink fails."""
    libraries = binaries.connect(Progress()) / "libs"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, database, topic, table, fast)
        command = [
            *TETHER, "java", HEAP, "-cp", f"{libraries}/*", "-Dlog4j2.level=WARN",
            "org.apache.kafka.connect.cli.ConnectStandalone",
            str(folder / "worker.properties"), str(folder / "sink.properties"),
        ]  # fmt: skip
        started = time.monotonic()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            counted = f"SELECT count(*) FROM {table}"
            return watch(database.uri, counted, count, lambda: [process.pid], started)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {(folder / 'log').read_text()[-3000:]}") from error
        finally:
            process.kill()
            process.wait()


def _write(folder: Path, database: Database, topic: str, table: str, fast: bool) -> None:
    at = urlsplit(database.uri)
    worker = WORKER | {
        "bootstrap.servers": broker().bootstrap_servers,
        "offset.storage.file.filename": str(folder / "offsets"),
    }
    sink = {
        "name": f"sink-{uuid.uuid4().hex[:8]}",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": topic,
        "connection.url": f"jdbc:postgresql://{at.hostname}:{at.port}{at.path}",
        "connection.username": at.username or "",
        "connection.password": unquote(at.password or "") or "none",
        "connection.provider": "org.hibernate.c3p0.internal.C3P0ConnectionProvider",
        "collection.name.format": table,
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "id",
        "schema.evolution": "none",
    }
    if fast:
        worker["consumer.max.poll.records"] = "5000"
        sink |= FAST
    for name, content in (("worker", worker), ("sink", sink)):
        lines = [f"{key}={value}" for key, value in content.items()]
        (folder / f"{name}.properties").write_text("\n".join(lines))
