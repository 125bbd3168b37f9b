"""``make bench-messages``: what compression costs and saves, for lone messages and for batches.

Each codec sends the same records through the workers' producer, one, ten or a thousand at once, to
a topic of its own, and reads them back. The kernel tells the CPU time of the process and the bytes
that the broker's sockets took. What the client spends on building its batches, where the codec is,
is measured once more by itself: in the whole it would drown.
"""

import json
import os
import socket
import statistics
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from rich.console import Console
from rich.table import Table

from sluice_api.names import JobName
from sluice_api.spec import Compression
from sluice_benchmarks.documents import SIZES, message
from sluice_benchmarks.job import Topics, broker
from sluice_workers import kafka
from sluice_workers.kafka import BATCH_BYTES
from sluice_workers.producer import Message, Producer

SENDS: Final = {1: 200, 10: 60, 1000: 10}
"""How often so many records are sent at once."""
QUICK_SENDS: Final = {1: 60, 10: 30, 1000: 5}
LONE: Final = 1
BATCH: Final = max(SENDS)
DESCRIPTORS: Final = Path("/proc/self/fd")
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
AT: Final = 1_767_225_600_000
TRIES: Final = 3
CODECS: Final = {
    Compression.NONE: 0,
    Compression.GZIP: 1,
    Compression.SNAPPY: 2,
    Compression.LZ4: 3,
    Compression.ZSTD: 4,
}
"""Their numbers in the protocol."""
BYTES_ACKED: Final = 120
"""Place of the acknowledged bytes (64 bits) in the kernel's ``struct tcp_info``."""

Case = tuple[str, int, Compression]
"""The size of a record's JSON, how many are sent at once, and the codec."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one record costs."""

    build: float
    """Microseconds of CPU to encode and compress it."""
    send: float
    """Microseconds of CPU to send it, that included."""
    read: float
    """Microseconds of CPU to read it."""
    wire: float
    """Bytes that the broker was sent, requests and headers included."""


async def measure(case: Case, topic: str, sends: int) -> Cost:
    """Send and read one case's records."""
    size, at_once, codec = case
    batches = [
        [message(size, start * at_once + number) for number in range(at_once)]
        for start in range(sends)
    ]
    count = sends * at_once
    producer = Producer(broker(), codec)
    try:
        await producer.send(topic, batches[0])
        sent, spent = acknowledged(), time.process_time()
        for batch in batches:
            await producer.send(topic, batch)
        spent, sent = time.process_time() - spent, acknowledged() - sent
    finally:
        await producer.close()
    read = await _read(topic, count)
    built = min(_built(batches, codec) for _ in range(TRIES))
    return Cost(built / count * 1e6, spent / count * 1e6, read / count * 1e6, sent / count)


def _built(batches: list[list[Message]], codec: Compression) -> float:
    """Return the CPU seconds of building batches as the producer's client does."""
    spent = time.process_time()
    for batch in batches:
        builder = _builder(codec)
        for number, each in enumerate(batch):
            headers = list(each.headers)
            if builder.append(number, AT, each.key, each.value, headers) is None:  # it is full
                builder.build()
                builder = _builder(codec)
                builder.append(0, AT, each.key, each.value, headers)
        builder.build()
    return time.process_time() - spent


def _builder(codec: Compression) -> DefaultRecordBatchBuilder:
    return DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=BATCH_BYTES,
    )


async def _read(topic: str, count: int) -> float:
    """Return the CPU seconds of reading records, those of the client's start left out."""
    async with kafka.reader(broker(), topic, [0], isolation="read_committed") as reader:
        spent, found = time.process_time(), 0
        reader.resume(*reader.assignment())
        while found < count:
            got = await reader.getmany(timeout_ms=1000)
            found += sum(len(each) for each in got.values())
        return time.process_time() - spent


def acknowledged() -> int:
    """Return the bytes that the broker has acknowledged on this process's connections."""
    port = int(broker().bootstrap_servers.rpartition(":")[2])
    return sum(_acknowledged(int(each.name), port) for each in DESCRIPTORS.iterdir())


def _acknowledged(descriptor: int, port: int) -> int:
    with suppress(OSError):
        found = socket.socket(fileno=descriptor)
        try:
            if found.family in INTERNET and found.getpeername()[1] == port:
                info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED + 8)
                return int.from_bytes(info[BYTES_ACKED:], "little")
        finally:
            found.detach()
    return 0


async def run(sends: dict[int, int], rounds: int) -> dict[Case, Cost]:
    """Return the medians of all cases."""
    cases = [(size, at_once, codec) for size in SIZES for at_once in sends for codec in Compression]
    suffixes = tuple(f"{size}-{at_once}-{codec}" for size, at_once, codec in cases)
    found: dict[Case, list[Cost]] = {case: [] for case in cases}
    for _ in range(rounds):
        topics = Topics(JobName("benchmark", f"messages-{uuid.uuid4().hex[:8]}"), 1, suffixes)
        await topics.make()
        try:
            for case, suffix in zip(cases, suffixes, strict=True):
                found[case].append(await measure(case, topics.of[suffix].name, sends[case[1]]))
        finally:
            await topics.delete()
    return {case: _median(costs) for case, costs in found.items()}


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(each.build for each in costs),
        statistics.median(each.send for each in costs),
        statistics.median(each.read for each in costs),
        statistics.median(each.wire for each in costs),
    )


def ratios(found: dict[Case, Cost]) -> dict[str, object]:
    """Return what each codec adds to the CPU of sending, in microseconds, and its part of bytes."""
    result: dict[str, object] = {"bench": "messages"}
    for at_once, word in ((LONE, "lone"), (BATCH, "batched")):
        for size in SIZES:
            plain = found[(size, at_once, Compression.NONE)]
            for codec in Compression:
                cost = found[(size, at_once, codec)]
                if codec is not Compression.NONE:
                    result[f"{word}_{size}_{codec}"] = {
                        "cpu_us": round(cost.build - plain.build, 1),
                        "bytes": round(cost.wire / plain.wire, 2),
                    }
    return result


def show(found: dict[Case, Cost]) -> None:
    """Print the table."""
    table = Table(title="One record through the broker")
    for title in ("JSON bytes", "at once", "codec"):
        table.add_column(title)
    for title in ("CPU us to build", "to send, all in all", "to read", "bytes on the wire"):
        table.add_column(title, justify="right")
    for (size, at_once, codec), cost in found.items():
        table.add_row(
            size, f"{at_once:,}", codec,
            f"{cost.build:,.1f}", f"{cost.send:,.1f}", f"{cost.read:,.1f}", f"{cost.wire:,.0f}",
        )  # fmt: skip
    Console(width=110).print(table)


def main() -> None:
    """Run the benchmark; QUICK=1 sends few records, once."""
    quick = bool(os.environ.get("QUICK"))
    found = uvloop.run(run(QUICK_SENDS if quick else SENDS, 1 if quick else 3))
    show(found)
    print(json.dumps(ratios(found)))


if __name__ == "__main__":
    main()
