"""Appends batches to the durable buffer: chunks and offsets in one transaction."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sluice_api.sink import DurableBuffer
from sluice_workers.write import buffer, metrics, offsets
from sluice_workers.write.batch import Batch, Outcome, Written
from sluice_workers.write.chunk import Chunk, chunks
from sluice_workers.write.committer import ATTEMPTS, nothing, unmoved
from sluice_workers.write.message import Message, Messages
from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.refusal import ERRORS, Kind, failure, kind
from sluice_workers.write.row import Row
from sluice_workers.write.session import Session
from sluice_workers.write.slices import Slice, full, total

LOOK: Final = 0.5
"""Seconds between two looks whether a full buffer has room again."""


class Unparsed:
    """Leaves the parsing to the merger: a row of nothing for each message."""

    def parse(self, _message: Message) -> Row:
        """Return an empty row."""
        return ()

    def parse_all(self, messages: Messages) -> list[Row]:
        """Return empty rows."""
        return [()] * len(messages)


class Appender:
    """Stands where a committer does: the offsets pass what the buffer holds."""

    def __init__(
        self,
        session: Session,
        owner: Owner,
        positions: Mapping[int, Position],
        limits: DurableBuffer,
        appended: asyncio.Event,
        say: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._owner = owner
        self._limits = limits
        self._say = say
        """Called with reason and message while the buffer is full."""
        self._appended = appended
        """Set when there is something to merge."""
        self._slices: Sequence[Slice] | None = None
        """What was buffered when it was looked last."""
        self._positions = dict(positions)

    @property
    def committed(self) -> Mapping[int, int]:
        """How far each partition is appended, as the database has it."""
        return offsets.next_offsets(self._positions)

    async def write(self, batch: Batch) -> Written:
        """Append a batch, as soon as there is room, and commit it.

        Raises ``FencedError`` and ``DependencyError``; then the partitions must be claimed anew.
        """
        found = chunks(batch.messages)
        await self._room()
        attempts = 0
        while True:
            started = time.monotonic()
            try:
                await self._append(found, batch)
                break
            except ERRORS as error:
                attempts += 1
                if kind(error) is not Kind.AGAIN or attempts >= ATTEMPTS:
                    raise failure(error) from error
                metrics.RETRIES.inc()
        self._positions = offsets.passed(self._positions, batch.ends)
        self._appended.set()
        metrics.TRANSACTION.observe(time.monotonic() - started)
        return Written(Outcome.of(batch), nothing)

    async def check(self) -> None:
        """Look whether the offsets are those of the last commit. Raises as :func:`unmoved`."""
        await unmoved(self._session, self._owner, self.committed)

    async def _append(self, found: Sequence[Chunk], batch: Batch) -> None:
        async with self._session.begun() as connection:
            await buffer.append(connection, self._owner, found)
            self._slices = await buffer.look(connection, self._owner.job_uid)
            await offsets.advance(connection, self._owner, self._positions, batch.ends)

    async def _room(self) -> None:
        """Wait until the buffer takes more. Raises ``DependencyError``."""
        if self._slices is None:
            self._slices = await self._look()
        while full(self._slices, self._limits):
            self._say("BufferFull", _full(self._slices, self._limits))
            await asyncio.sleep(LOOK)
            self._slices = await self._look()

    async def _look(self) -> Sequence[Slice]:
        try:
            async with self._session.begun() as connection:
                return await buffer.look(connection, self._owner.job_uid)
        except ERRORS as error:
            raise failure(error) from error


def _full(slices: Sequence[Slice], limits: DurableBuffer) -> str:
    records, size = total(slices)
    return (
        f"the durable buffer holds {records:,} records of {size:,} bytes: writers wait until"
        " less is left to merge; sink.postgres.durable.maxRecords is"
        f" {limits.max_records:,}, maxBytes is {limits.max_bytes:,}"
    )
