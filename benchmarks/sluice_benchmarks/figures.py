"""What one candidate did, and how it is watched."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from sluice_benchmarks.sample import busy, peak, usage

PATIENCE: Final = 180.0
"""Seconds that a candidate has."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one candidate did."""

    rate: float
    """Rows a second, from the first one seen to the last."""
    cpu: float
    """Client CPU microseconds a row, from the process's start to the last row."""
    first: float | None = None
    """Seconds from the process's start to the first row seen."""
    resident: int | None = None
    """Bytes at the most."""
    start: float | None = None
    """Client CPU seconds until the first row was seen; part of ``cpu``."""
    busy: float | None = None
    """The share of all cores' time that was used while rows were written."""


def watch(
    uri: str, query: str, count: int, pids: Callable[[], Sequence[int]], started: float
) -> Figures:
    """Watch processes until ``query`` has counted ``count`` rows.

    ``started`` is when the processes were started, on the monotonic clock. Raises ``RuntimeError``
    when it takes too long.
    """
    return asyncio.run(_watch(uri, query, count, pids, started))


async def _watch(
    uri: str, query: str, count: int, pids: Callable[[], Sequence[int]], started: float
) -> Figures:
    connection = await asyncpg.connect(uri)
    first: tuple[float, int] | None = None
    load, start = busy(), 0.0
    try:
        while True:
            asked = time.monotonic()
            found = int(await connection.fetchval(query) or 0)
            now = time.monotonic()
            if found and first is None:
                first, load, start = (now, found), busy(), cpu(pids())
            if found >= count and first is not None:
                figures = _figures(first, (now, found), load, pids(), started)
                return replace(figures, start=start)
            if now - started > PATIENCE:
                raise RuntimeError(f"{found:,} of {count:,} rows after {PATIENCE:.0f} s")
            # Counting must not cost what is counted: it takes a twentieth of a core at the most.
            await asyncio.sleep(max(0.02, 20 * (now - asked)))
    finally:
        await connection.close()


def _figures(
    first: tuple[float, int],
    last: tuple[float, int],
    load: tuple[float, float],
    pids: Sequence[int],
    started: float,
) -> Figures:
    used, idle = (after - before for after, before in zip(busy(), load, strict=True))
    return Figures(
        rate=(last[1] - first[1]) / max(1e-9, last[0] - first[0]),
        cpu=cpu(pids) / last[1] * 1e6,
        first=first[0] - started,
        resident=max(map(peak, pids), default=None),
        busy=used / max(1e-9, used + idle),
    )


def cpu(pids: Sequence[int]) -> float:
    """Return the CPU seconds that processes have used so far."""
    return sum(usage(pid).cpu for pid in pids)
