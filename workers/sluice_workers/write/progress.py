"""What a writer says of itself: its state for the operator, its lag for metrics."""

import time
from collections.abc import Sized

from sluice_workers.meter import Meter
from sluice_workers.state import ProcessState
from sluice_workers.write import metrics
from sluice_workers.write.batch import Batch, Outcome


class Progress:
    """Counts what a writer reads and commits. Times are seconds of a monotonic clock."""

    def __init__(self, started: float) -> None:
        self._done = Meter(started)
        self._bytes = Meter(started)
        self._latency = Meter(started)
        self._total = self._failed = 0
        self._fetched_at: int | None = None
        self.assigned = False
        """Whether the group has told the writer its share, be it nothing."""

    def read(self, batch: Batch) -> None:
        """Note records that were read."""
        self._bytes.add(time.monotonic(), len(batch), batch.bytes)

    def committed(self, outcome: Outcome, seconds: float) -> None:
        """Note what came of a batch and how long its transaction took."""
        now = time.monotonic()
        self._total += outcome.records
        self._failed += outcome.failed
        self._done.add(now, outcome.records)
        self._latency.add(now, 1, seconds)
        self._fetched_at = outcome.fetched_at

    def lag(self, records: int) -> None:
        """Note how many records of the topic are not written yet."""
        metrics.LAG.set(records)
        behind = self._fetched_at is not None and records > 0
        age = time.time() - (self._fetched_at or 0) / 1000 if behind else 0.0
        metrics.LAG_SECONDS.set(max(0.0, age))

    def state(self, process: int, assigned: tuple[int, ...], held: Sized | None) -> ProcessState:
        """Return the state; ``held`` is what holds claimed records, None without a claim."""
        now = time.monotonic()
        return ProcessState(
            process=process,
            ready=held is not None or (self.assigned and not assigned),
            assigned=assigned,
            in_flight=len(held) if held is not None else 0,
            done=self._total,
            failed=self._failed,
            rate=self._done.rate(now),
            latency=self._latency.mean(now),
            message_bytes=self._bytes.mean(now),
        )
