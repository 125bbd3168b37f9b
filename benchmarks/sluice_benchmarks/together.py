"""Several pods of a writer at once: what they do while each of them has something to write.

Starts, the first rebalances and the last batches of whoever ends later are no part of the rate: it
is counted from when each partition is with the pod that keeps it, and each pod has committed some
of its own, until the first of them has nothing left.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from sluice_benchmarks.figures import PATIENCE, Figures, cpu
from sluice_benchmarks.job import Pod
from sluice_benchmarks.sample import busy, peak

OFFSETS: Final = "SELECT partition, next_offset, epoch FROM sluice.offsets WHERE job_uid = $1"
LOOK: Final = 0.03
"""Seconds between two looks at the offsets."""
REPORTED: Final = 1.5
"""Seconds after which a pod has told its partitions: it does so each second."""


@dataclass(frozen=True, slots=True)
class Look:
    """The offsets at one time."""

    at: float
    """Seconds of a monotonic clock."""
    load: tuple[float, float]
    """CPU seconds that all cores were busy and idle."""
    offsets: Mapping[int, int]
    epochs: Mapping[int, int]
    """Raised whenever a partition changes hands."""

    @property
    def rows(self) -> int:
        """All that is written."""
        return sum(self.offsets.values())


def steady(looks: Sequence[Look], shares: Sequence[Sequence[int]]) -> tuple[Look, Look]:
    """Return the first and the last look between which each share's owner was writing.

    Raises ``RuntimeError`` when there are no such two.
    """
    last = looks[-1]
    settled = [look for look in looks if look.epochs == last.epochs]

    def done(look: Look, share: Sequence[int]) -> int:
        return sum(look.offsets[at] for at in share)

    working = [
        look
        for look in settled
        if all(done(settled[0], share) < done(look, share) < done(last, share) for share in shares)
    ]
    if len(working) < 2:  # noqa: PLR2004
        raise RuntimeError("one of the pods had nothing to write while the other did: more records")
    return working[0], working[-1]


def watch(uri: str, uid: str, count: int, pods: Sequence[Pod], started: float) -> Figures:
    """Watch pods until they have written ``count`` records, all that the topic holds.

    ``started`` is when they were started, on the monotonic clock. Raises ``RuntimeError`` when it
    takes too long, or when they never wrote at the same time.
    """
    pids = [pid for each in pods for pid in (*each.loops(1), each.process.pid)]
    looks, start = asyncio.run(_watch(uri, uid, count, pids, started))
    used = cpu(pids) / looks[-1].rows * 1e6
    time.sleep(REPORTED)
    first, last = steady(looks, [each.assigned() for each in pods])
    worked, idle = (after - before for after, before in zip(last.load, first.load, strict=True))
    return Figures(
        rate=(last.rows - first.rows) / (last.at - first.at),
        cpu=used,
        first=looks[0].at - started,
        resident=max(map(peak, pids)),
        start=start,
        busy=worked / max(1e-9, worked + idle),
    )


async def _watch(
    uri: str, uid: str, count: int, pids: Sequence[int], started: float
) -> tuple[list[Look], float]:
    """Return looks from the first row on, and the CPU seconds until then."""
    connection = await asyncpg.connect(uri)
    looks: list[Look] = []
    start = 0.0
    try:
        while not looks or looks[-1].rows < count:
            if time.monotonic() - started > PATIENCE:
                raise RuntimeError(f"fewer than {count:,} rows after {PATIENCE:.0f} s")
            await asyncio.sleep(LOOK)
            rows = await connection.fetch(OFFSETS, uid)
            offsets = {row["partition"]: row["next_offset"] for row in rows}
            epochs = {row["partition"]: row["epoch"] for row in rows}
            look = Look(time.monotonic(), busy(), offsets, epochs)
            if look.rows and not looks:
                start = cpu(pids)
            if look.rows:
                looks.append(look)
    finally:
        await connection.close()
    return looks, start
