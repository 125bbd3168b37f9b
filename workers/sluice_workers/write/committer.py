"""Commits batches: rejected records out of the way, rows and offsets in one transaction."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from typing import Any, Final

from sluice_workers import wire
from sluice_workers.failures import Failures
from sluice_workers.write import metrics
from sluice_workers.write.batch import Batch, Outcome, Rejected, Written, newest
from sluice_workers.write.exchange import Refused
from sluice_workers.write.offsets import FencedError, Owner, Position, next_offsets, passed
from sluice_workers.write.reader import rejected
from sluice_workers.write.refusal import (
    ERRORS,
    Kind,
    failure,
    in_short,
    is_statement_error,
    kind,
    refusal,
)
from sluice_workers.write.route import Route
from sluice_workers.write.row import Row
from sluice_workers.write.search import Found, Pace, Pair, Search
from sluice_workers.write.session import Session, Transaction

CHECK: Final = 10.0
"""Seconds that the database has to tell the offsets."""
PART: Final = 1.0
"""Seconds of a search after which what is decided is committed: a rebalance waits for no more."""
FEW: Final = 10
"""Records of which nothing is said, though most of them are refused."""
ATTEMPTS: Final = 5
"""How often a batch that Postgres picked as the victim of a deadlock is tried again."""
_LOG: Final = logging.getLogger(__name__)


class Way(IntEnum):
    """How rows get into the table; each next one copes with more."""

    INSERT = 0
    """All are new: COPY right into the table, at half the cost of a merge."""
    MERGE = 1
    SEARCH = 2
    """Some are refused: find them, and merge the others."""


class Committer:
    """Commits batches of claimed partitions through one session."""

    def __init__(
        self,
        session: Session,
        owner: Owner,
        positions: Mapping[int, Position],
        failures: Failures,
        identity: Callable[[Row], Any],
        say: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._owner = owner
        self._failures = failures
        self._identity = identity
        self._say = say
        """Called with reason and message while most records are refused."""
        self._route = Route()
        self._positions = dict(positions)
        """Where the next batch begins, if those before are committed."""
        self.committed: Mapping[int, int] = next_offsets(positions)
        """The next offset of each partition, as the database has it."""
        self._under_way = 0
        """COMMITs that were not answered yet."""
        self._settled = asyncio.Event()
        """Set while no COMMIT is under way."""
        self._settled.set()

    async def write(self, batch: Batch) -> Written:
        """Write a batch, all but its COMMIT.

        Rows that Postgres refuses are searched for and given up; the rest is committed, then in as
        many transactions as the search takes. Raises ``FencedError`` and ``DependencyError``; then
        the partitions must be claimed anew.
        """
        await self._give_up(batch.rejected)
        rows = sorted(newest(batch.rows, self._identity), key=self._identity)
        way = Way.INSERT if self._route.insert else Way.MERGE
        attempts = 0
        while way is not Way.SEARCH:
            started = time.monotonic()
            try:
                transaction = await self._whole(way, rows, batch.ends)
            except ERRORS as error:
                attempts += 1
                way = self._after(error, way, attempts)
                if way is Way.SEARCH and await self._waited():
                    # What the refused record needs may have been in the batch before.
                    way = Way.MERGE
            else:
                written = Written(
                    Outcome.of(batch),
                    partial(self._commit, transaction, batch.ends, len(rows), started),
                )
                break
        else:
            written = Written(await self._search(batch), nothing)
        self._route = self._route.went(way is Way.INSERT)
        metrics.WAYS.labels(way.name.lower()).inc()
        return written

    async def check(self) -> None:
        """Look whether the offsets are those of the last commit. Raises as :func:`unmoved`."""
        if not self._under_way:
            await unmoved(self._session, self._owner, self.committed)

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

    async def _whole(
        self, way: Way, rows: Sequence[Row], ends: Mapping[int, int]
    ) -> AsyncExitStack:
        """Write rows and offsets; return what commits them."""
        async with AsyncExitStack() as stack:
            transaction = await stack.enter_async_context(
                self._session.transaction(self._owner, insert=way is Way.INSERT)
            )
            await self._begin(transaction)
            if rows:
                await transaction.write(rows)
            await self._end(transaction, ends)
            self._moved(ends)
            self._under_way += 1
            self._settled.clear()
            return stack.pop_all()

    async def _commit(
        self, transaction: AsyncExitStack, ends: Mapping[int, int], rows: int, started: float
    ) -> None:
        try:
            await transaction.aclose()
        except ERRORS as error:
            raise failure(error) from error
        self._note(ends, rows, started)
        self._under_way -= 1
        if not self._under_way:
            self._settled.set()

    async def _waited(self) -> bool:
        """Wait for a COMMIT that is under way; return whether there was one."""
        if self._settled.is_set():
            return False
        await self._settled.wait()
        return True

    async def _search(self, batch: Batch) -> Outcome:
        """Commit a batch in parts: what could be decided within some seconds, with its offsets."""
        # All rows, also those that a newer one replaces: if that is refused, the older counts.
        pairs = list(zip(batch.messages, batch.rows, strict=True))
        pace = Pace.after(len(pairs))
        attempts = refused = kept = 0
        while pairs:
            started = time.monotonic()
            try:
                found, ends = await self._part(batch, pairs, pace)
            except ERRORS as error:
                attempts += 1
                self._after(error, Way.SEARCH, attempts)
                continue
            rows = self._kept(pairs[: found.decided], found.refused)
            self._moved(ends)
            self._note(ends, rows, started)
            self._tell(found)
            refused, kept = refused + len(found.refused), kept + rows
            pairs, pace, attempts = pairs[found.decided :], found.pace, 0
        return Outcome.of(batch, refused, kept)

    async def _part(
        self, batch: Batch, pairs: Sequence[Pair], pace: Pace
    ) -> tuple[Found, Mapping[int, int]]:
        async with self._session.transaction(self._owner) as transaction:
            await self._begin(transaction)
            found = await Search(transaction, self._identity).search(pairs, pace, PART)
            async with transaction.awake():
                await self._give_up(
                    [rejected(message, refusal(error)) for message, _, error in found.refused]
                )
            ends = batch.ends if found.decided == len(pairs) else _ends(pairs[: found.decided])
            await self._end(transaction, ends)
        return found, ends

    def _kept(self, pairs: Sequence[Pair], refused: Sequence[Refused]) -> int:
        gone = {id(message) for message, _, _ in refused}
        return len({self._identity(row) for message, row in pairs if id(message) not in gone})

    def _tell(self, found: Found) -> None:
        """Say so while most of the records are refused: that is seldom the records' fault."""
        if 2 * len(found.refused) > found.decided > FEW:
            # Without numbers, for a condition that changes all the time is written all the time.
            self._say(
                "RecordsRefused",
                "the sink's database refuses most records, which go to the dead-letter topic, one"
                f" of them for: {in_short(found.refused[0][2])}: correct the table or what is"
                " fetched, then redrive them",
            )

    def _note(self, ends: Mapping[int, int], rows: int, started: float) -> None:
        """Take note of a transaction that was committed."""
        # Answers to COMMITs come through two connections, perhaps the later one first.
        ends = {at: max(end, self.committed.get(at, 0)) for at, end in ends.items()}
        self.committed = {**self.committed, **ends}
        metrics.TRANSACTION.observe(time.monotonic() - started)
        metrics.ROWS.inc(rows)

    async def _begin(self, transaction: Transaction) -> None:
        """What comes before the rows: nothing, for locks of offsets are taken last."""

    async def _end(self, transaction: Transaction, ends: Mapping[int, int]) -> None:
        await transaction.advance(self._owner, self._positions, ends)

    def _moved(self, ends: Mapping[int, int]) -> None:
        """Begin the next transaction where one leaves off."""
        self._positions = passed(self._positions, ends)

    async def _give_up(self, records: Sequence[Rejected]) -> None:
        await self._failures.give_up([_dead(each) for each in records])
        metrics.REJECTED.inc(len(records))


def _ends(pairs: Sequence[Pair]) -> dict[int, int]:
    """Return the offsets after these records; those of a partition are in their order."""
    return {message.partition: message.offset + 1 for message, _ in pairs}


async def nothing() -> None:
    """Commit what is committed."""


async def unmoved(session: Session, owner: Owner, committed: Mapping[int, int]) -> None:
    """Raise ``FencedError`` when the database's offsets are not those of the last commit.

    A failover to a replica that lagged takes commits back: what they held is written again.
    Raises ``DependencyError`` when the database does not answer.
    """
    try:
        async with asyncio.timeout(CHECK):
            known = await session.known(owner, [*committed])
    except TimeoutError as error:
        raise failure(error) from error
    moved = [
        f"{partition} from {offset} to {known.get(partition)}"
        for partition, offset in committed.items()
        if known.get(partition) != offset
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
