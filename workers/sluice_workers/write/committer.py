"""Commits batches: rejected records out of the way, rows and offsets in one transaction."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from sluice_workers import wire
from sluice_workers.failures import Failures
from sluice_workers.write import exchange, metrics
from sluice_workers.write.batch import Batch, Rejected, newest
from sluice_workers.write.message import Message
from sluice_workers.write.offsets import FencedError, Owner, Position
from sluice_workers.write.reader import rejected
from sluice_workers.write.refusal import (
    ERRORS,
    Kind,
    failure,
    is_statement_error,
    kind,
    may_pass_later,
    refusal,
)
from sluice_workers.write.route import Route
from sluice_workers.write.row import Row
from sluice_workers.write.session import Session, Transaction

CHECK: Final = 10.0
"""Seconds that the database has to tell the offsets."""
ATTEMPTS: Final = 5
"""How often a batch that Postgres picked as the victim of a deadlock is tried again."""
_LOG: Final = logging.getLogger(__name__)


class Way(IntEnum):
    """How rows get into the table; each next one copes with more."""

    INSERT = 0
    """All are new: COPY right into the table, at half the cost of a merge."""
    MERGE = 1
    SEARCH = 2
    """One of them is refused: find it, and merge the others."""


class Committer:
    """Commits batches of claimed partitions through one session."""

    def __init__(
        self,
        session: Session,
        owner: Owner,
        positions: Mapping[int, Position],
        failures: Failures,
        identity: Callable[[Row], Any],
    ) -> None:
        self._session = session
        self._owner = owner
        self._failures = failures
        self._identity = identity
        self._route = Route()
        self.positions = dict(positions)
        """Where each partition is, as the database has it."""

    async def commit(self, batch: Batch) -> None:
        """Commit a batch.

        Rows that Postgres refuses are found by halves and given up; the rest is committed. Raises
        ``FencedError`` and ``DependencyError``; then the partitions must be claimed anew.
        """
        await self._give_up(batch.rejected)
        rows = sorted(newest(batch.rows, self._identity), key=self._identity)
        way = Way.INSERT if self._route.insert else Way.MERGE
        attempts = 0
        while True:
            started = time.monotonic()
            try:
                await self._transaction(way, batch, rows)
                break
            except ERRORS as error:
                attempts += 1
                way = self._after(error, way, attempts)
        self._route = self._route.went(way is Way.INSERT)
        self._passed(batch)
        metrics.TRANSACTION.observe(time.monotonic() - started)
        metrics.WAYS.labels(way.name.lower()).inc()
        metrics.ROWS.inc(len(rows) if way is not Way.SEARCH else batch.kept)

    async def check(self) -> None:
        """Look whether the offsets are those of the last commit. Raises as :func:`unmoved`."""
        await unmoved(self._session, self._owner, self.positions)

    def _after(self, error: Exception, way: Way, attempts: int) -> Way:
        """Return the next way to try. Raises ``DependencyError`` when none would help."""
        found = kind(error)
        if way is Way.INSERT and (found is not Kind.TARGET or is_statement_error(error)):
            return Way.MERGE
        if found is Kind.RECORD and way is Way.MERGE:
            # What Postgres says may quote the row: that is for the dead topic, not for logs.
            _LOG.warning("a record was refused: %s", type(error).__name__)
            self._session.look_again()
            return Way.SEARCH
        if found is Kind.AGAIN and attempts < ATTEMPTS:
            metrics.RETRIES.inc()
            return way
        raise failure(error) from error

    async def _transaction(self, way: Way, batch: Batch, rows: Sequence[Row]) -> None:
        async with self._session.transaction(self._owner) as transaction:
            await self._begin(transaction)
            match way:
                case Way.INSERT if rows:
                    await transaction.insert(rows)
                case Way.MERGE if rows:
                    await transaction.merge(rows)
                case Way.SEARCH:
                    await self._search(transaction, batch)
            await self._end(transaction, batch)

    async def _begin(self, transaction: Transaction) -> None:
        """What comes before the rows: nothing, for locks of offsets are taken last."""

    async def _end(self, transaction: Transaction, batch: Batch) -> None:
        await transaction.advance(self._owner, self.positions, batch.ends)

    def _passed(self, batch: Batch) -> None:
        for partition, end in batch.ends.items():
            self.positions[partition] = replace(self.positions[partition], next_offset=end)

    async def _search(self, transaction: Transaction, batch: Batch) -> None:
        """Merge what can be merged, and give the rest up before the offsets pass it."""
        # All rows, also those that a newer one replaces: if that is refused, the older counts.
        pairs = list(zip(batch.messages, batch.rows, strict=True))
        refused = await self._halves(transaction, pairs)
        while any(may_pass_later(error) for _, _, error in refused):
            again = await self._halves(transaction, [(message, row) for message, row, _ in refused])
            if len(again) == len(refused):
                break
            refused = again
        refused = await self._exchange(transaction, refused)
        await self._give_up([rejected(message, refusal(error)) for message, _, error in refused])
        gone = {id(message) for message, _, _ in refused}
        kept = {self._identity(row) for message, row in pairs if id(message) not in gone}
        batch.refused, batch.kept = len(refused), len(kept)

    async def _halves(
        self, transaction: Transaction, pairs: Sequence[tuple[Message, Row]]
    ) -> list[tuple[Message, Row, Exception]]:
        """Merge rows; return those that were refused, each by itself."""
        rows = newest([row for _, row in pairs], self._identity)
        error = await transaction.attempt(rows) if rows else None
        if error is None:
            return []
        if len(pairs) == 1:
            return [(*pairs[0], error)]
        middle = len(pairs) // 2
        first = await self._halves(transaction, pairs[:middle])
        return first + await self._halves(transaction, pairs[middle:])

    async def _exchange(
        self, transaction: Transaction, refused: list[exchange.Refused]
    ) -> list[exchange.Refused]:
        """Merge those that exchange unique values among themselves; return the others."""
        moving = [each for each in refused if exchange.is_in_the_way(each[2])]
        for _ in range(exchange.ROUNDS):
            if len(moving) < 2:  # noqa: PLR2004  nobody exchanges anything alone
                break
            left = {id(message) for message, _, _ in await self._together(transaction, moving)}
            merged = {id(message) for message, _, _ in moving} - left
            if not left:
                return [each for each in refused if id(each[0]) not in merged]
            moving = [each for each in moving if id(each[0]) in merged]
        return refused

    async def _together(
        self, transaction: Transaction, moving: list[exchange.Refused]
    ) -> list[exchange.Refused]:
        """Merge rows that all stepped aside before; return who was in the way: then none is."""
        pairs = [(message, row) for message, row, _ in moving]
        refused = moving

        async def merged() -> bool:
            nonlocal refused
            refused = await self._halves(transaction, pairs)
            return not refused

        try:
            await transaction.exchange(newest([row for _, row in pairs], self._identity), merged)
        except ERRORS as error:
            if kind(error) is not Kind.RECORD:
                raise
            return moving  # a trigger or a constraint wants no NULL
        return refused

    async def _give_up(self, records: Sequence[Rejected]) -> None:
        await self._failures.give_up([_dead(each) for each in records])
        metrics.REJECTED.inc(len(records))


async def unmoved(session: Session, owner: Owner, positions: Mapping[int, Position]) -> None:
    """Raise ``FencedError`` when the database's offsets are not those of the last commit.

    A failover to a replica that lagged takes commits back: what they held is written again.
    Raises ``DependencyError`` when the database does not answer.
    """
    try:
        async with asyncio.timeout(CHECK):
            known = await session.known(owner, [*positions])
    except TimeoutError as error:
        raise failure(error) from error
    moved = [
        f"{partition} from {position.next_offset} to {known.get(partition)}"
        for partition, position in positions.items()
        if known.get(partition) != position.next_offset
    ]
    if moved:
        raise FencedError(
            f"offsets of {owner.job} have moved in the database, partition"
            f" {', '.join(moved)}: by a successor, or by a failover that lost commits"
        )


def _dead(found: Rejected) -> wire.DeadItem:
    return wire.DeadItem(
        key=found.key,
        item=found.item,
        version=found.version,
        ordinal=found.ordinal,
        reason=wire.FailureReason.INVALID_RECORD,
        message=found.message,
        failed_at=datetime.now(UTC),
        value=found.value,
        whole=False,
    )
