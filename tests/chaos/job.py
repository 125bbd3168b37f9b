"""A job of the run: its topics, its table with a history, its writers' configuration."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chaos.nodes import LOGS
from chaos.records import GENERATION
from integration.processes import write_folder
from sluice_api.names import JobName
from sluice_api.sink import Buffer, PostgresSink, WriteMode
from sluice_api.spec import Batch, Compression
from sluice_workers.settings import KafkaConnection, MigrateSettings, Topic, WriterSettings

PARTITIONS: Final = 6
FOLDER: Final = Path("/run/jobs")
BATCH: Final = {"minSize": 40, "maxSize": 400, "timeout": "200ms"}
"""Small and often: many transactions to be hurt in."""
HISTORY: Final = """
    CREATE SCHEMA chaos;
    CREATE TABLE chaos.applied (
      seq bigserial, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), job text, record text
    );
    CREATE TABLE chaos.moved (
      seq bigserial, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), job text,
      partition int, first bigint, next bigint, epoch bigint
    );
    CREATE FUNCTION chaos.apply() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO chaos.applied (job, record) VALUES (TG_ARGV[0], NEW.record);
        RETURN NULL;
      END $$;
    CREATE FUNCTION chaos.move() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE before bigint := 0;
      BEGIN
        IF TG_OP = 'UPDATE' THEN before := OLD.next_offset; END IF;
        IF NEW.next_offset <> before THEN
          INSERT INTO chaos.moved (job, partition, first, next, epoch)
          VALUES (NEW.job_uid, NEW.partition, before, NEW.next_offset, NEW.epoch);
        END IF;
        RETURN NULL;
      END $$;
    CREATE TABLE chaos.chunks (
      seq bigserial, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), job text, appended bool,
      id bigint, partition int, first bigint, next bigint
    );
    CREATE FUNCTION chaos.buffer() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE chunk sluice.buffer := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
      BEGIN
        INSERT INTO chaos.chunks (job, appended, id, partition, first, next) VALUES (
          chunk.job_uid, TG_OP = 'INSERT',
          chunk.id, chunk.partition, chunk.first_offset,
          -- What a merge shortens has lost its first records.
          CASE TG_OP WHEN 'UPDATE' THEN NEW.first_offset ELSE chunk.next_offset END
        );
        RETURN NULL;
      END $$;
    CREATE TRIGGER chaos AFTER INSERT OR UPDATE OR DELETE ON sluice.buffer
      FOR EACH ROW EXECUTE FUNCTION chaos.buffer();
    CREATE TRIGGER chaos AFTER INSERT OR UPDATE ON sluice.offsets
      FOR EACH ROW EXECUTE FUNCTION chaos.move();
    CREATE FUNCTION chaos.tarry() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_sleep(random() * TG_ARGV[0]::float);
        RETURN NULL;
      END $$;
    CREATE TRIGGER tarry AFTER UPDATE ON sluice.offsets
      FOR EACH STATEMENT EXECUTE FUNCTION chaos.tarry('0.02');
"""
"""Tables that keep the history of their rows, and a slow database: faults must strike inside
transactions, also inside those that hold the locks of their offsets."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the services are."""

    kafka: KafkaConnection
    uri: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Job:
    """One job, whose writers form one group."""

    name: str
    """Its name, uid and table at once."""
    mode: WriteMode
    buffer: Buffer
    servers: Servers

    @property
    def names(self) -> JobName:
        """The names that follow from its own."""
        return JobName("chaos", self.name)

    @property
    def folder(self) -> Path:
        """The configuration of its pods."""
        return FOLDER / self.name

    def topic(self, suffix: str) -> Topic:
        """Return one of its topics."""
        return Topic(name=self.names.topic(suffix), generation=GENERATION)

    @property
    def sink(self) -> PostgresSink:
        """Return its table."""
        columns: dict[str, Any] = {
            "row": {"type": "bigint"},
            "number": {"type": "bigint"},
            "record": {"type": "text", "metadata": "RecordId"},
        }
        given = {
            "secretRef": {"name": "warehouse"},
            "table": f"public.{self.name}",
            "mode": self.mode,
            "buffer": self.buffer,
            "key": ["row"] if self.mode is WriteMode.UPSERT else [],
            "columns": columns,
        }
        return PostgresSink.model_validate(given)

    @property
    def writer_command(self) -> list[str]:
        """Return the command of a writer's pod."""
        return [sys.executable, "-m", "sluice_cli", "write", "--folder", str(self.folder)]

    async def make_topics(self) -> None:
        """Create the topics of records and of what is given up."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers.kafka.bootstrap_servers)
        await admin.start()
        try:
            records = NewTopic(self.topic("records").name, PARTITIONS, 1)
            await admin.create_topics([records, NewTopic(self.topic("dead").name, 1, 1)])
        finally:
            await admin.close()

    def migrate(self) -> None:
        """Write the pods' configuration, and run ``sluice migrate`` as the operator would."""
        whose: dict[str, Any] = {"namespace": "chaos", "name": self.name, "uid": self.name}
        writer = WriterSettings(
            **whose,
            records=self.topic("records"),
            dead=self.topic("dead"),
            compression=Compression.LZ4,
            sink=self.sink,
            batch=Batch.model_validate(BATCH),
        )
        migrate = MigrateSettings(**whose, sink=self.sink)
        files = {
            "settings/writer.json": writer.model_dump_json(by_alias=True),
            "settings/migrate.json": migrate.model_dump_json(by_alias=True),
            "kafka/bootstrapServers": self.servers.kafka.bootstrap_servers,
            "redis/url": self.servers.redis_url,
            "sink/uri": self.servers.uri,
        }
        write_folder(self.folder, files)
        command = [sys.executable, "-m", "sluice_cli", "migrate", "--folder", str(self.folder)]
        with (LOGS / f"migrate-{self.name}.log").open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=True)

    async def watch(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Let the table keep its history, refuse what is bad, and be slow."""
        await connection.execute(
            f'ALTER TABLE {self.sink.table} ADD CHECK ("row" >= 0);'
            f"CREATE TRIGGER chaos AFTER INSERT OR UPDATE ON {self.sink.table}"
            f" FOR EACH ROW EXECUTE FUNCTION chaos.apply('{self.name}');"
            f"CREATE TRIGGER tarry BEFORE INSERT ON {self.sink.table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION chaos.tarry('0.15')"
        )
