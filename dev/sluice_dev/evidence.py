"""What a job left behind, read from the backing services themselves, not from its status."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sluice_api.names import JobName
from sluice_dev.target import Target

_SERVER: Final = "--bootstrap-server=localhost:9092"
READERS_PATIENCE: Final = (4_000, 10_000, 40_000)
"""Milliseconds without a message after which a topic's reader ends, at each try."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Reads Postgres, Redis and Kafka through commands in their pods."""

    target: Target

    def query(self, sql: str) -> list[list[str]]:
        """The rows that a query of the warehouse returns, as text."""
        psql = "psql --username=sluice --dbname=warehouse --no-psqlrc --csv --tuples-only"
        found = self._in("postgres-0", *psql.split(), f"--command={sql}")
        return list(csv.reader(found.splitlines()))

    def count(self, rows: str) -> int:
        """How many rows of a table of the warehouse there are, of those that a condition names."""
        return int(self.query(f"select count(*) from {rows}")[0][0])

    def table(self, sql: str) -> str:
        """The rows that a query of the warehouse returns, as psql shows them to people."""
        psql = "psql --username=sluice --dbname=warehouse --no-psqlrc"
        return self._in("postgres-0", *psql.split(), f"--command={sql}")

    def failed_keys(self, job: JobName) -> set[str]:
        """The members of a job's failed set."""
        return {
            key
            for name in self.redis_keys(job)
            if name.startswith(job.redis_key("failed:"))
            for key in self._in("redis-0", "redis-cli", "--raw", "HKEYS", name).split()
        }

    def redis_keys(self, job: JobName) -> set[str]:
        """All Redis keys of a job."""
        pattern = job.redis_key("*").replace("[", r"\[")
        return set(
            self._in("redis-0", "redis-cli", "--raw", "--scan", "--pattern", pattern).split()
        )

    def dead_items(self, job: JobName, expected: int) -> list[dict[str, Any]]:
        """The messages of a job's dead topic, oldest first of each partition.

        The reader ends when nothing comes for a while, which may be because it is slow to begin:
        it is given more time while it has found fewer than are ``expected``.
        """
        topic = f"--topic={job.topic('dead')}"
        found: list[dict[str, Any]] = []
        for idle in READERS_PATIENCE:
            arguments = (topic, "--from-beginning", f"--timeout-ms={idle}")
            lines = self._kafka("kafka-console-consumer.sh", *arguments).splitlines()
            found = [json.loads(line) for line in lines if line.startswith("{")]
            if len(found) >= expected:
                break
        return found

    def topics(self, job: JobName) -> set[str]:
        """The topics that a job has now."""
        found = self._kafka("kafka-topics.sh", "--list").split()
        return {topic for topic in found if topic.startswith(job.topic(""))}

    def extent(self, topic: str) -> tuple[int, int]:
        """Where the partitions of a topic start and where they end, each summed."""
        start, end = (
            sum(
                int(line.rpartition(":")[2])
                for line in self._kafka(
                    "kafka-get-offsets.sh", f"--topic={topic}", f"--time={time}"
                ).split()
            )
            for time in ("earliest", "latest")
        )
        return start, end

    def groups(self, job: JobName) -> set[str]:
        """The consumer groups that a job has now."""
        found = self._kafka("kafka-consumer-groups.sh", "--list").split()
        return {group for group in found if group.startswith(job.group(""))}

    def fill(self, topic: str, keys: Iterable[str]) -> None:
        """Create a topic of three partitions and write a message for each key, as others would."""
        self._kafka("kafka-topics.sh", "--create", f"--topic={topic}", "--partitions=3")
        producer = ["/opt/kafka/bin/kafka-console-producer.sh", _SERVER, f"--topic={topic}"]
        reader = ["--reader-property=parse.key=true", "--reader-property=key.separator=:"]
        namespace = f"--namespace={self.target.system}"
        self.target.kubectl(
            "exec", "--stdin", "kafka-0", namespace, "--", *producer, *reader,
            stdin="".join(f"{key}:{{}}\n" for key in keys),
        )  # fmt: skip

    def drop(self, topic: str) -> None:
        """Delete a topic if it is there."""
        self._kafka("kafka-topics.sh", "--delete", f"--topic={topic}", "--if-exists")

    def _kafka(self, script: str, *arguments: str) -> str:
        return self._in("kafka-0", f"/opt/kafka/bin/{script}", _SERVER, *arguments)

    def _in(self, pod: str, *command: str) -> str:
        namespace = f"--namespace={self.target.system}"
        found: str = self.target.kubectl("exec", pod, namespace, "--", *command)
        return found
