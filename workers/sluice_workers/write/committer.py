"""Commits batches: rejected records out of the way, rows and offsets in one transaction."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sluice_workers import wire
from sluice_workers.failures import Failures
from sluice_workers.write import metrics
from sluice_workers.write.batch import Entry, Rejected, newest_rows, ranges
from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.sink import BAD_DATA, RETRIED, Sink, failure, refusal

ATTEMPTS: Final = 5
"""How often a batch that Postgres picked as the victim of a deadlock is tried again."""
_LOG: Final = logging.getLogger(__name__)


class Committer:
    """Commits entries of claimed partitions through one session."""

    def __init__(
        self,
        sink: Sink,
        owner: Owner,
        positions: Mapping[int, Position],
        failures: Failures,
    ) -> None:
        self._sink = sink
        self._owner = owner
        self._failures = failures
        self.positions = dict(positions)
        """Where each partition is, as the database has it."""

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Commit a batch.

        Rows that Postgres refuses are found by halves and given up; the rest is committed. Raises
        ``FencedError`` and ``DependencyError``; then the partitions must be claimed anew.
        """
        rejected = [entry.content for entry in entries if isinstance(entry.content, Rejected)]
        await self._give_up(rejected)
        try:
            await self._transaction(entries)
        except BAD_DATA as error:
            await self._search(entries, error)

    async def _search(self, entries: Sequence[Entry], error: Exception) -> None:
        """Commit both halves of a refused batch, or give its one row up."""
        rows = [entry for entry in entries if not isinstance(entry.content, Rejected)]
        if not rows:
            raise failure(error) from error
        if len(rows) == 1:
            # What Postgres says may quote the row: that is for the dead topic, not for logs.
            _LOG.warning("a record was refused: %s", type(error).__name__)
            bad = rows[0]
            rejected = _rejected(bad, error)
            await self._give_up([rejected])
            given_up = replace(bad, content=rejected)
            await self._transaction([given_up if entry is bad else entry for entry in entries])
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            try:
                await self._transaction(half)
            except BAD_DATA as again:
                await self._search(half, again)

    async def _give_up(self, rejected: Sequence[Rejected]) -> None:
        await self._failures.give_up([_dead(each) for each in rejected])
        metrics.REJECTED.inc(len(rejected))

    async def _transaction(self, entries: Sequence[Entry]) -> None:
        ends, rows = ranges(entries), newest_rows(entries)
        started = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._sink.commit(rows, self._owner, self.positions, ends)
                break
            except RETRIED as error:
                if attempt == ATTEMPTS:
                    raise failure(error) from error
        for partition, end in ends.items():
            self.positions[partition] = replace(self.positions[partition], next_offset=end)
        metrics.TRANSACTION.observe(time.monotonic() - started)
        metrics.ROWS.inc(len(rows))
        metrics.RECORDS.inc(len(entries))


def _rejected(entry: Entry, error: Exception) -> Rejected:
    content = entry.content
    if isinstance(content, Rejected):
        return content
    return Rejected(content.key, content.item, refusal(error), repr(content.values)[:4096])


def _dead(rejected: Rejected) -> wire.DeadItem:
    return wire.DeadItem(
        key=rejected.key,
        item=rejected.item,
        reason=wire.FailureReason.INVALID_RECORD,
        message=rejected.message,
        failed_at=datetime.now(UTC),
        value=rejected.value,
    )
