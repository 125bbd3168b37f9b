"""Requests and limits of the pods, computed from what they will hold."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sluice_api.archive import Archive
from sluice_api.http import Http
from sluice_api.quantity import Quantity
from sluice_api.sink import Buffer
from sluice_api.spec import Archiver, Batch, Fetcher, IngestionJobSpec, Resources, Writer
from sluice_operator.observed import NodeSize, Role
from sluice_workers.fetch import unsent
from sluice_workers.fetch.http import arriving, progress
from sluice_workers.write.reader import fetch_bytes

MIB: Final = 1 << 20
SUPERVISOR: Final = 48 * MIB
"""The parent process of a pod: an interpreter and an HTTP server."""
PROCESS: Final = 128 * MIB
"""An event loop with its clients, idle."""
IN_FLIGHT: Final = 128 << 10
"""A request in flight: socket buffers, the answer, its records."""
PARSED_COPIES: Final = 10
"""An answer while it is parsed, as small objects, with their records (measured: 0.5 to 9.3)."""
BATCH_COPIES: Final = 4
"""Copies of a batch at its worst: as fetched, as parsed, as sent, and the next one."""
RECORD: Final = 1536
"""A record in hand, besides its bytes: a message, its headers, a row."""
BATCHES: Final = 2
"""Batches in hand: one is committed while the next one is filled."""
OBJECT_COPIES: Final = 4
"""What an archiver holds at its worst, in objects: two in the making, one packed, one read."""
LARGEST_OBJECT: Final = 64 * MIB
"""What sink.archive.maxBytes may be at the most."""
REPLAYED_COPIES: Final = 3
"""An object as it came and unpacked, and what is sent of it."""
MERGE_COPIES: Final = 4
"""What a merger holds besides: chunks, their messages, parsed, and as sent."""
STEP: Final = 32 * MIB


def fetcher(spec: Fetcher, http: Http | None = None) -> Resources:
    """Return the user's resources, or those that processes, concurrency and answers need."""
    if spec.resources is not None:
        return spec.resources
    in_hand = spec.window.max_bytes + spec.concurrency * IN_FLIGHT + unsent.MOST
    each = PROCESS + in_hand + (_answers(http) if http is not None else 0)
    return _resources(Decimal(spec.processes) / 10, SUPERVISOR + spec.processes * each)


def _answers(http: Http) -> int:
    """Return the bytes of large items, one beyond their budget, and of one answer that is parsed.

    With pages an item holds those that it has read, and what waits for another attempt is kept.
    """
    pages = http.max_item_bytes + progress.MOST if http.pagination is not None else 0
    return arriving.MOST + pages + (1 + PARSED_COPIES) * http.max_response_bytes


def writer(spec: Writer, batch: Batch, partitions: int, buffer: Buffer) -> Resources:
    """Return the user's resources, or those that batches and the partitions' read-ahead need."""
    if spec.resources is not None:
        return spec.resources
    durable = buffer is Buffer.DURABLE
    copies = BATCH_COPIES + (MERGE_COPIES if durable else 0)
    batches = copies * batch.max_bytes + (BATCHES + durable) * batch.max_size * RECORD
    read_ahead = partitions * fetch_bytes(partitions)
    return _resources(Decimal("0.1"), SUPERVISOR + PROCESS + batches + read_ahead)


def archiver(spec: Archiver, archive: Archive) -> Resources:
    """Return the user's resources, or those that the objects' bytes need."""
    if spec.resources is not None:
        return spec.resources
    needs = SUPERVISOR + PROCESS + OBJECT_COPIES * archive.max_bytes
    return _resources(Decimal("0.1"), needs)


def workers(role: Role, spec: IngestionJobSpec) -> Resources:
    """Return the resources of a role's pods."""
    if role is Role.FETCHER:
        return fetcher(spec.fetcher, spec.source.http)
    if role is Role.ARCHIVER and spec.sink.archive is not None:
        return archiver(spec.archiver, spec.sink.archive)
    return writer(spec.writer, spec.batch, spec.topics.partitions, spec.sink.postgres.buffer)


def replay() -> Resources:
    """Return the resources of a replay, which holds one object, packed and unpacked."""
    return _resources(Decimal("0.1"), PROCESS + REPLAYED_COPIES * LARGEST_OBJECT)


def task() -> Resources:
    """Return the resources of the migration and of the seed."""
    return _resources(Decimal("0.05"), 256 * MIB)


def _resources(cores: Decimal, memory: int) -> Resources:
    """CPU has no limit: idle time is nobody's. Memory's limit is its request: no surprise kills."""
    steps = -(-memory // STEP)
    size = Quantity(f"{steps * STEP // MIB}Mi")
    cpu = Quantity(f"{int(cores * 1000)}m")
    return Resources(requests={"cpu": cpu, "memory": size}, limits={"memory": size})


def misfit(resources: Resources, nodes: Sequence[NodeSize]) -> str | None:
    """Say why a pod of these resources fits no node; None when it fits one, or none is known."""
    if not nodes:
        return None
    asked = {**resources.limits, **resources.requests}
    cpu = asked.get("cpu", Quantity("0")).number
    memory = asked.get("memory", Quantity("0")).number
    if any(cpu <= node.cpu and memory <= node.memory for node in nodes):
        return None
    largest = max(nodes, key=lambda node: (node.memory, node.cpu))
    return (
        f"a pod needs {_text(cpu, memory)}, the largest node has"
        f" {_text(largest.cpu, largest.memory)} to give: lower processes, concurrency or"
        " batch.maxBytes, give resources yourself, or add a larger node"
    )


def _text(cpu: Decimal, memory: Decimal) -> str:
    return f"{cpu.normalize():f} CPU and {int(memory) // MIB} MiB"
