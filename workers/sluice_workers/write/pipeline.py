"""While a batch is written, the next one is filled: what happens under one claim.

And while one waits at its COMMIT for the database's disk, the one after it is written through
another connection. That moves offsets on from where the one before leaves them, so Postgres itself
lets it wait for that one's COMMIT where they have a partition in common, and refuses it unless that
succeeds. Where they have none, either may be committed first.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sluice_workers.runtime.cancel import cancel
from sluice_workers.write import metrics
from sluice_workers.write.appender import Appender
from sluice_workers.write.batch import Batch, Batcher, Outcome, Trigger, Written
from sluice_workers.write.committer import Committer
from sluice_workers.write.size import Sizing, observe, stretch

IDLE: Final = 5.0
"""Seconds without a record after which the database is asked whether all is as it was left."""


class Pipeline:
    """Takes records in, and commits them one batch after the other, in their order."""

    def __init__(
        self,
        committer: Committer | Appender,
        batcher: Batcher,
        sizing: Sizing,
        committed: Callable[[Outcome, float], None],
        together: int,
    ) -> None:
        self.committer = committer
        self.sizing = sizing
        self._batcher = batcher
        self._committed = committed
        """Called with each batch and the seconds that its transaction took."""
        self._together = together
        """Transactions at the most: one that writes, the others at their COMMIT."""
        self._writing = asyncio.Lock()
        self._failed = False
        """Set while a batch is written, and for good when that fails: then none after it may be."""
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._ending = False
        self._committing = asyncio.create_task(self._run())

    def __len__(self) -> int:
        return len(self._batcher)

    def add(self, read: Batch) -> None:
        """Add records that were read after all before."""
        self._batcher.add(read)
        self._filled.set()
        metrics.BUFFERED.set(len(self._batcher))

    async def room(self, seconds: float) -> int:
        """Return how many records to read at a stretch, waiting for room for some seconds.

        Raises what a commit failed with.
        """
        if self._committing.done() and not self._committing.cancelled():
            self._committing.result()
        if not self._batcher.room():
            self._emptied.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._emptied.wait()
        return min(self._batcher.room(), stretch(self.sizing.size))

    async def finish(self, seconds: float) -> None:
        """Commit what is in hand. Raises what a commit failed with, or ``TimeoutError``."""
        self._ending = True
        self._filled.set()
        async with asyncio.timeout(seconds):
            await self._committing

    async def abandon(self) -> None:
        """Stop at once: only a new claim tells what was committed."""
        self._committing.cancel()
        await asyncio.wait({self._committing})
        if not self._committing.cancelled():
            self._committing.exception()

    async def _run(self) -> None:
        turns = [asyncio.create_task(self._take_turns()) for _ in range(self._together)]
        try:
            await asyncio.gather(*turns)
        finally:
            await cancel(turns)
            self._emptied.set()

    async def _take_turns(self) -> None:
        while True:
            async with self._writing:
                trigger = None if self._failed else await self._due()
                if trigger is None:
                    return
                started = time.monotonic()
                self._failed = True
                written = await self._write(started)
                self._failed = False
            await written.commit()
            self._tell(trigger, written.outcome, time.monotonic() - started)

    async def _due(self) -> Trigger | None:
        """Return why the batch in hand is to be committed; None when all is done."""
        while True:
            now = time.monotonic()
            if trigger := self._batcher.due(now):
                return trigger
            if self._ending:
                return Trigger.DRAIN if len(self._batcher) else None
            self._filled.clear()
            wait = self._batcher.wait(now)
            try:
                async with asyncio.timeout(IDLE if wait is None else wait):
                    await self._filled.wait()
            except TimeoutError:
                if wait is None:
                    await self.committer.check()

    async def _write(self, started: float) -> Written:
        """Write what is in hand; when this returns, its records are forgotten."""
        metrics.BATCH_AGE.observe(self._batcher.age(started))
        batch = self._batcher.take()
        self._emptied.set()
        written = await self.committer.write(batch)
        self.sizing = observe(self.sizing, len(batch), time.monotonic() - started)
        self._batcher.size = self.sizing.size
        metrics.SIZE.set(self.sizing.size)
        metrics.BUFFERED.set(len(self._batcher))
        return written

    def _tell(self, trigger: Trigger, outcome: Outcome, seconds: float) -> None:
        metrics.BATCHES.labels(trigger).inc()
        metrics.BATCH_SIZE.observe(outcome.records)
        metrics.RECORDS.inc(outcome.records)
        metrics.BYTES.inc(outcome.bytes)
        self._committed(outcome, seconds)
