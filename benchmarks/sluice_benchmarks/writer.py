"""``make bench-writer``: rows in memory, the whole writer, and Debezium's sink on Kafka Connect.

All write to one Postgres that waits for its disk, one after the other, into an empty table each;
then the same records again, which are updates. The database counts the rows, the kernel the CPU
time of the clients.
"""

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from sluice_api.names import JobName
from sluice_api.sink import Buffer
from sluice_benchmarks import connect, whole_writer
from sluice_benchmarks.database import Database, database
from sluice_benchmarks.figures import Figures
from sluice_benchmarks.job import Topics
from sluice_benchmarks.records import fill, sink

CASES: Final = (("narrow", 500), ("narrow", 5000), ("narrow", 20_000), ("wide", 500))
REFUSED_SIZE: Final = 1000
JUDGED: Final = ("narrow", 5000)
"""The case that the ratios are about."""
WRITER: Final = "writer"
TWO: Final = "writer, two processes"
DURABLE: Final = "writer, durable buffer"
REFUSED: Final = {
    "writer, all refused": "false",
    "writer, every other one refused": "id % 2 = 0",
    "writer, one in a hundred refused": "id % 100 > 0",
}
"""What of the rows a constraint of the table lets in."""
AS_FAST: Final = "writer, as many records as the tuned sink"
AS_DEFAULTS: Final = "writer, as many records as the default sink"
FAST: Final = "Debezium's sink, tuned"
DEFAULTS: Final = "Debezium's sink, defaults"
SLOW: Final = 5000
"""Microseconds of a COMMIT where the disk, or a synchronous standby, is far away."""
SLOW_CASE: Final = ("narrow", 500)
SLOWLY: Final = ", slow commits"
AGAIN: Final = ", again"
"""Marks candidates that find all rows there already."""
PARTITIONS: Final = 8

Case = tuple[str, str, int]
"""A candidate, the shape of its records, and how many a batch holds."""


@dataclass(frozen=True, slots=True)
class Length:
    """How many records each candidate writes."""

    narrow: int
    wide: int
    together: int
    """By two processes, which are measured while both of them write."""
    refused: int
    """Of which Postgres refuses all or some."""
    connect: int
    """By Debezium's sink when it is tuned: its JIT must be warm."""
    defaults: int
    latencies: int
    """Records that are sent one after the other."""
    rounds: int

    @property
    def total(self) -> int:
        """The narrow records that the topic holds."""
        return max(self.narrow, self.together, self.connect)


LENGTHS: Final = {
    True: Length(100_000, 2_000, 400_000, 1_000, 100_000, 0, 5, 1),
    False: Length(500_000, 20_000, 1_500_000, 20_000, 1_500_000, 200_000, 20, 3),
}


class Bench:
    """One run: a database, topics with records, and what was found."""

    def __init__(self, sink: Database, topics: Topics, length: Length) -> None:
        self._sink = sink
        self._topics = topics
        self._length = length
        self._tables = itertools.count()
        self._suffix = ""
        """Tells what is different for all candidates just now."""
        self.found: dict[Case, list[Figures]] = {}
        self.latencies: list[float] = []

    def run(self) -> None:
        """Measure everything."""
        for _ in range(self._length.rounds):
            for shape, size in CASES:
                self._from_memory("ceiling", shape, size)
                self._writer(shape, size)
            self._from_memory("executemany", *JUDGED)
            self._judged(TWO)
            self._judged(DURABLE, Buffer.DURABLE)
        for name, fits in REFUSED.items():
            self._refused(name, fits)
        with self._slow_commits():
            self._from_memory("ceiling", *SLOW_CASE)
            self._writer(*SLOW_CASE)
        with self._table("narrow") as table:
            length = self._length
            self.latencies = whole_writer.latency(
                self._sink, self._topics, table, length.total, length.latencies
            )
        # A start is a part of all: side by side is only what writes as many records.
        self._beside(FAST, AS_FAST, self._length.connect)
        if self._length.defaults:
            self._beside(DEFAULTS, AS_DEFAULTS, self._length.defaults)

    def _count(self, shape: str) -> int:
        return self._length.wide if shape == "wide" else self._length.narrow

    @contextmanager
    def _table(self, shape: str) -> Iterator[str]:
        table = f"public.rows_{next(self._tables)}"
        self._sink.make(shape, table)
        yield table
        self._sink.drop(table)

    @contextmanager
    def _slow_commits(self) -> Iterator[None]:
        self._sink.delay_commits(SLOW)
        self._suffix = SLOWLY
        try:
            yield
        finally:
            self._suffix = ""
            self._sink.delay_commits(0)

    def _note(self, name: str, shape: str, size: int, figures: Figures) -> None:
        name += self._suffix
        self.found.setdefault((name, shape, size), []).append(figures)
        print(
            f"  {name}, {shape}, batches of {size:,}: {figures.rate:,.0f} rows/s,"
            f" {figures.cpu:.1f} us of CPU a row",
            flush=True,
        )

    def _from_memory(self, way: str, shape: str, size: int) -> None:
        count = self._count(shape)
        with self._table(shape) as table:
            environment = os.environ | {
                "SLUICE_BENCH_POSTGRES": self._sink.uri,
                "SLUICE_BENCH_TABLE": table,
            }
            arguments = [way, shape, str(size), str(count)]
            output = subprocess.run(
                [sys.executable, "-m", "sluice_benchmarks.loads", *arguments],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
        result = json.loads(output)
        cpu = result["cpu"] / count * 1e6
        for name, seconds in zip((way, way + AGAIN), result["seconds"], strict=True):
            self._note(name, shape, size, Figures(count / seconds, cpu))

    def _writer(self, shape: str, size: int) -> None:
        with self._table(shape) as table:
            self._whole(WRITER, shape, size, table)
            self._whole(WRITER + AGAIN, shape, size, table)

    def _whole(
        self, name: str, shape: str, size: int, table: str, count: int | None = None
    ) -> None:
        wanted = count or self._count(shape)
        into = sink(shape, table)
        figures = whole_writer.load(self._sink, self._topics, shape, size, wanted, into)
        self._note(name, shape, size, figures)

    def _judged(self, name: str, buffer: Buffer = Buffer.TRANSACTIONAL) -> None:
        """Measure the writer in another way than alone into the table."""
        shape, size = JUDGED
        with self._table(shape) as table:
            into, sources = sink(shape, table, buffer), (self._sink, self._topics)
            if name == TWO:
                figures = whole_writer.load_together(*sources, size, self._length.total, into, 2)
            else:
                count = self._count(shape)
                figures = whole_writer.load(*sources, shape, size, count, into)
        self._note(name, shape, size, figures)

    def _refused(self, name: str, fits: str) -> None:
        with self._table("narrow") as table:
            self._sink.fetch(f"ALTER TABLE {table} ADD CHECK ({fits})")
            self._whole(name, "narrow", REFUSED_SIZE, table, self._length.refused)

    def _beside(self, name: str, writer: str, count: int) -> None:
        """Let Debezium's sink and the writer write the same records."""
        self._connect(name, count, fast=name == FAST)
        with self._table("narrow") as table:
            self._whole(writer, *JUDGED, table, count)

    def _connect(self, name: str, count: int, *, fast: bool) -> None:
        with self._table("narrow") as table:
            # A column that Debezium's sink does not fill.
            self._sink.fetch(f"ALTER TABLE {table} DROP COLUMN _sluice_version")
            topic = self._topics.of["narrow"].name
            figures = connect.load(self._sink, topic, count, table, fast=fast)
        self._note(name, "narrow", 5000 if fast else 500, figures)


def medians(found: dict[Case, list[Figures]]) -> dict[Case, Figures]:
    """Return the median of each figure over the rounds; of memory the most."""
    return {
        case: Figures(
            statistics.median(each.rate for each in figures),
            statistics.median(each.cpu for each in figures),
            first=_median([each.first for each in figures]),
            resident=max((each.resident or 0 for each in figures), default=0) or None,
            start=_median([each.start for each in figures]),
            busy=_median([each.busy for each in figures]),
        )
        for case, figures in found.items()
    }


def _median(found: list[float | None]) -> float | None:
    known = [each for each in found if each is not None]
    return statistics.median(known) if known else None


def ratios(found: dict[Case, Figures]) -> dict[str, str | float]:
    """Return what the benchmark is for."""

    def judged(name: str) -> Figures:
        return found[(name, *JUDGED)]

    writer, ceiling = judged(WRITER), judged("ceiling")
    again = judged(WRITER + AGAIN).rate / judged("ceiling" + AGAIN).rate
    slow, its_ceiling = (found[(name + SLOWLY, *SLOW_CASE)] for name in (WRITER, "ceiling"))
    return {
        "bench": "writer",
        "vs_ceiling": round(writer.rate / ceiling.rate, 2),
        "vs_ceiling_updates": round(again, 2),
        "vs_ceiling_slow_commits": round(slow.rate / its_ceiling.rate, 2),
        "two_processes": round(judged(TWO).rate / ceiling.rate, 2),
        "two_processes_cores_busy": round(judged(TWO).busy or 0.0, 2),
        "durable": round(judged(DURABLE).rate / writer.rate, 2),
        "vs_executemany": round(writer.rate / judged("executemany").rate, 2),
        **_beside("vs_connect", judged(AS_FAST), judged(FAST)),
        **(
            _beside("vs_connect_defaults", judged(AS_DEFAULTS), found[(DEFAULTS, "narrow", 500)])
            if (DEFAULTS, "narrow", 500) in found
            else {}
        ),
    }


def _beside(name: str, writer: Figures, sink: Figures) -> dict[str, float]:
    return {
        name: round(writer.rate / sink.rate, 2),
        f"cpu_{name}": round(writer.cpu / sink.cpu, 2),
    }


def show(found: dict[Case, Figures], latencies: list[float]) -> None:
    """Print the tables."""
    table = Table(title="Into one Postgres, fsync on")
    table.add_column("client")
    table.add_column("records")
    titles = (
        "batch", "rows/s", "CPU us a row", "of it s at start", "first row s", "resident MiB",
        "cores busy",
    )  # fmt: skip
    for title in titles:
        table.add_column(title, justify="right")
    for (name, shape, size), figures in found.items():
        table.add_row(
            name, shape, f"{size:,}", f"{figures.rate:,.0f}", f"{figures.cpu:,.1f}",
            "" if figures.start is None else f"{figures.start:.2f}",
            "" if figures.first is None else f"{figures.first:.1f}",
            "" if figures.resident is None else f"{figures.resident / (1 << 20):,.0f}",
            "" if figures.busy is None else f"{figures.busy:.0%}",
        )  # fmt: skip
    Console(width=130).print(table)
    milliseconds = [each * 1000 for each in latencies]
    print(
        f"From sending a record to its row, batch.timeout {whole_writer.TIMEOUT * 1000:.0f} ms:"
        f" median {statistics.median(milliseconds):.0f} ms, most {max(milliseconds):.0f} ms"
    )


def main() -> None:
    """Run the benchmark; QUICK=1 writes few records once, so the JVM of Connect is not warm."""
    quick = bool(os.environ.get("QUICK"))
    length = LENGTHS[quick]
    job = JobName("benchmark", f"write-{uuid.uuid4().hex[:8]}")
    topics = Topics(job, PARTITIONS, ("narrow", "wide", "dead"))
    asyncio.run(topics.make())
    try:
        for shape, count in (("narrow", length.total), ("wide", length.wide)):
            print(f"  filling a topic with {count:,} {shape} records", flush=True)
            asyncio.run(fill(topics.of[shape].name, shape, count))
        with database() as sink:
            bench = Bench(sink, topics, length)
            bench.run()
    finally:
        asyncio.run(topics.delete())
    result = medians(bench.found)
    show(result, bench.latencies)
    if quick:
        print("QUICK: Debezium's sink had few records: its JVM was not warm")
    print(json.dumps(ratios(result)))


if __name__ == "__main__":
    main()
