"""The merger: from the durable buffer into the table, a few slices in each transaction.

One runs in each writer's process, with a session of its own. Chunks are read and parsed first; then
one transaction locks their slices, deletes them and merges their rows, as a committer does.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from sluice_api.errors import DependencyError
from sluice_workers.failures import Failures
from sluice_workers.settings import Topic, WriterSettings
from sluice_workers.trouble import PAUSE, Troubles
from sluice_workers.write import buffer, metrics
from sluice_workers.write.batch import Batch, Outcome
from sluice_workers.write.buffer import Taken, TakenError
from sluice_workers.write.chunk import unpacked
from sluice_workers.write.committer import Committer
from sluice_workers.write.merge import CHECK
from sluice_workers.write.offsets import Owner
from sluice_workers.write.reader import Reader
from sluice_workers.write.refusal import ERRORS, failure
from sluice_workers.write.row import RowParser, identify
from sluice_workers.write.session import Session, Transaction
from sluice_workers.write.slices import Slice, choose, merged, total

IDLE: Final = 0.5
"""Seconds between two looks for records that others have appended, or are merging."""


class SliceCommitter(Committer):
    """Merges batches that were read from the buffer: what passes are chunks, not offsets."""

    taken: Taken
    """What the next batch was read from."""

    async def _begin(self, transaction: Transaction) -> None:
        # First, for whoever comes second must not merge: it has read the chunks as well.
        await buffer.lock(transaction.connection, self._owner.job_uid, self.taken)

    async def _end(self, transaction: Transaction, ends: Mapping[int, int]) -> None:
        left = self.taken.after(ends)
        await buffer.remove(
            transaction.connection, self._owner.job_uid, self.taken, left, first=CHECK
        )

    def _moved(self, ends: Mapping[int, int]) -> None:
        """Go on with what is left; offsets have passed before."""
        self.taken = self.taken.after(ends)


@dataclass(frozen=True, slots=True)
class Consumed:
    """What this process consumes just now."""

    mine: Collection[int]
    """The partitions assigned to it."""
    positions: Mapping[int, int]
    """How far those that it has claimed are appended."""


class Merger:
    """Merges what is buffered of a job until it is cancelled."""

    def __init__(
        self,
        settings: WriterSettings,
        open_session: Callable[[], Session],
        failures: Failures,
        consumed: Callable[[], Consumed],
        committed: Callable[[Outcome, float], None],
    ) -> None:
        self._settings = settings
        self._open = open_session
        self._failures = failures
        self._consumed = consumed
        self._committed = committed
        """Called with each batch and the seconds that its merge took."""
        self.turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        """What a merge waits for."""
        self._parser = RowParser(settings.sink)
        self._session: Session | None = None
        self._committers: dict[int, SliceCommitter] = {}
        self.filled = asyncio.Event()
        """To be set when there is something to merge."""
        self.troubles = Troubles()
        self.merged: dict[int, int] = {}
        """How far the partitions that this process has claimed are merged."""

    async def run(self) -> None:
        """Merge for ever; what fails outside is tried again."""
        try:
            while True:
                await self._step()
        finally:
            await self._close()

    async def _step(self) -> None:
        try:
            if await self._round():
                return
        except TakenError:
            metrics.MERGES.labels("taken").inc()
        except DependencyError as error:
            metrics.MERGES.labels("failed").inc()
            metrics.FAILURES.labels(error.reason).inc()
            self.troubles.say(error.reason, f"records wait in the durable buffer: {error}")
            await self._close()
            await asyncio.sleep(PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE):
                await self.filled.wait()

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session, self._committers = None, {}

    async def _round(self) -> bool:
        """Merge a batch; return whether there was one."""
        if self._session is None:
            self._session = self._open()
        self.filled.clear()
        taken = await self._take(self._session)
        if taken is None:
            return False
        batch = self._parse(taken)
        committer = self._committer(self._session, taken.generation)
        committer.taken = taken
        started = time.monotonic()
        async with self.turn():
            written = await committer.write(batch)
            await written.commit()
        metrics.MERGES.labels("committed").inc()
        if not written.outcome.mostly_refused:
            self.troubles.clear()
        self._committed(written.outcome, time.monotonic() - started)
        return True

    async def _take(self, session: Session) -> Taken | None:
        """Look what is buffered, and read the chunks to merge next."""
        job, batch = self._settings.uid, self._settings.batch
        consumed = self._consumed()
        try:
            async with session.begun() as connection:
                slices = await buffer.look(connection, job)
                self._note(slices, consumed.positions)
                choice = choose(slices, consumed.mine, batch.max_size, batch.max_bytes)
                if choice is None:
                    self.troubles.clear()
                    return None
                taken = await buffer.read(connection, job, choice, batch.max_size, batch.max_bytes)
        except ERRORS as error:
            raise failure(error) from error
        if not taken.chunks:
            raise TakenError(f"partitions {choice.partitions} are being merged by another")
        return taken

    def _note(self, slices: list[Slice], positions: Mapping[int, int]) -> None:
        self.merged = merged(slices, self._settings.records.generation, positions)
        records, size = total(slices)
        metrics.DURABLE_RECORDS.set(records)
        metrics.DURABLE_BYTES.set(size)
        metrics.DURABLE_AGE.set(max((each.age for each in slices), default=0.0))

    def _parse(self, taken: Taken) -> Batch:
        batch = Batch(since=time.monotonic())
        topic = Topic(name=self._settings.records.name, generation=taken.generation)
        reader = Reader(self._parser, topic, {})
        for held in taken.chunks:
            reader.parse(unpacked(held.partition, held.first_offset, held.body), batch)
        return batch

    def _committer(self, session: Session, generation: int) -> SliceCommitter:
        """Return what merges chunks of a generation: it remembers which way is fast."""
        if generation not in self._committers:
            settings = self._settings
            self._committers[generation] = SliceCommitter(
                session,
                Owner(settings.uid, str(settings.job), generation),
                {},
                self._failures,
                identify(settings.sink),
                self.troubles.say,
            )
        return self._committers[generation]
