"""Requests and limits of the pods, computed from what they will hold."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sluice_api.quantity import Quantity
from sluice_api.spec import Batch, Fetcher, Resources, Writer
from sluice_operator.observed import NodeSize

MIB: Final = 1 << 20
SUPERVISOR: Final = 48 * MIB
"""The parent process of a pod: an interpreter and an HTTP server."""
PROCESS: Final = 128 * MIB
"""An event loop with its clients, idle."""
IN_FLIGHT: Final = 128 << 10
"""A request in flight: socket buffers, the answer, its records."""
BATCH_COPIES: Final = 4
"""Copies of a batch at its worst: as fetched, as parsed, as sent, and the next one."""
STEP: Final = 32 * MIB


def fetcher(spec: Fetcher) -> Resources:
    """Return the user's resources, or those that processes and concurrency need."""
    if spec.resources is not None:
        return spec.resources
    each = PROCESS + spec.window.max_bytes + spec.concurrency * IN_FLIGHT
    return _resources(Decimal(spec.processes) / 10, SUPERVISOR + spec.processes * each)


def writer(spec: Writer, batch: Batch) -> Resources:
    """Return the user's resources, or those that the batch's bytes need."""
    if spec.resources is not None:
        return spec.resources
    return _resources(Decimal("0.1"), SUPERVISOR + PROCESS + BATCH_COPIES * batch.max_bytes)


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
