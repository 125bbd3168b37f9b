"""The consumer's side of a fetcher: membership, what is taken, what is committed.

Everything that touches the group's offsets happens under one lock, which a rebalance holds from the
moment partitions are revoked until others are assigned: no commit falls in between. Work in flight
goes on meanwhile; it counts if its partition comes back.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from sluice_api.errors import DependencyError
from sluice_api.spec import Window
from sluice_workers.fetch import metrics
from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.done import DoneSets
from sluice_workers.fetch.item import read_item
from sluice_workers.fetch.ledger import Ledger
from sluice_workers.fetch.partition import Partition, Work
from sluice_workers.membership import RebalanceLock
from sluice_workers.settings import Topic

POLL_MS: Final = 200
"""How long one read waits for items."""
MAX_ITEMS: Final = 500
"""Items that one read takes at the most: the others' turn comes soon."""
_LOG: Final = logging.getLogger(__name__)


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Takes items of the assigned partitions and commits what is done of them.

    Items whose turn has come are put into ``backlog``; while ``enough`` of them wait there, nothing
    more is read. ``before_commit`` is awaited before offsets are committed, and keeps them from it
    by raising ``DependencyError``.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: Topic,
        backlog: Backlog,
        enough: int,
        window: Window,
        done_sets: DoneSets,
        before_commit: Callable[[], Awaitable[None]],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._backlog = backlog
        self._enough = enough
        self._window = window
        self._done_sets = done_sets
        self._before_commit = before_commit
        self._lock = RebalanceLock()
        self._assignment = 0
        """Counts assignments: what was read under an earlier one is read again."""
        self._unplaced: set[TopicPartition] = set()
        """Assigned partitions of which it is not known yet where to go on."""
        self._partitions: dict[TopicPartition, Partition] = {}

    @property
    def joined(self) -> bool:
        """Whether the group has assigned something, if only nothing."""
        return self._assignment > 0 and not self._unplaced

    @property
    def assigned(self) -> tuple[int, ...]:
        """The partitions' numbers."""
        return tuple(sorted(place.partition for place in self._partitions))

    @property
    def window(self) -> int:
        """Items that are taken and not committed."""
        return sum(partition.ledger.span for partition in self._partitions.values())

    def subscribe(self) -> None:
        """Join the group."""
        self._consumer.subscribe([self._topic.name], listener=self)

    async def take(self) -> None:
        """Read a little and start what may start.

        Raises ``DependencyError``: the broker, an offset that is gone, a topic made anew.
        """
        try:
            async with self._lock:
                await self._place()
                self._throttle()
                assignment = self._assignment
            found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_ITEMS)
            async with self._lock:
                if assignment == self._assignment:
                    # What is refused is read again: the client counts it as delivered.
                    self._unplaced |= found.keys()
                    self._admit(found)
                    self._unplaced -= found.keys()
                    await self._pass()
        except NoOffsetForPartitionError:
            return  # it is placed at the next call
        except OffsetOutOfRangeError as error:
            raise DependencyError(
                "OffsetOutOfRange", f"items that were not fetched are gone from the topic: {error}"
            ) from error
        except KafkaError as error:
            raise DependencyError(
                "BrokerUnreachable", f"the broker does not answer: {error}"
            ) from error

    async def commit(self) -> None:
        """Commit what is contiguous and done. Raises ``DependencyError``."""
        async with self._lock:
            await self._commit()

    def finish(self, work: Work) -> None:
        """Note an item as done, and start the next one of its key."""
        partition = work.partition
        partition.ledger.finish(work.item.offset)
        following = partition.lanes.leave(work.item.key)
        if following is not None and not partition.lost:
            self._backlog.put_first(following)

    def _admit(self, found: dict[TopicPartition, list[Any]]) -> None:
        for place, messages in found.items():
            partition = self._partitions.get(place)
            if partition is None:
                continue
            for message in messages:
                if message.offset >= partition.ledger.position:
                    self._admit_one(partition, message)
        self._measure()

    def _measure(self) -> None:
        ledgers = {place: each.ledger for place, each in self._partitions.items()}
        metrics.WINDOW.set(self.window)
        metrics.WINDOW_BYTES.set(sum(ledger.bytes for ledger in ledgers.values()))
        metrics.WINDOW_FULL.set(sum(ledger.full for ledger in ledgers.values()))
        metrics.LAG.set(
            sum(
                max(0, (self._consumer.highwater(place) or 0) - (ledgers[place].committed or 0))
                for place in self._consumer.assignment() & ledgers.keys() - self._unplaced
            )
        )

    async def _pass(self) -> None:
        """Pass over offsets that are no messages; what was read is admitted by now."""
        for place, partition in self._partitions.items():
            if place not in self._unplaced:
                partition.ledger.pass_to(await self._consumer.position(place))

    def _admit_one(self, partition: Partition, message: Any) -> None:
        item = read_item(
            self._topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            headers=message.headers,
        )
        if not partition.ledger.take(item.offset, item.size):
            metrics.ITEMS.labels("done_before").inc()
            return
        work = Work(item, partition)
        if partition.lanes.enter(item.key, work):
            self._backlog.put(work)

    def _throttle(self) -> None:
        """Read nothing more of a partition whose window is full, or while enough is waiting."""
        paused, enough = self._consumer.paused(), len(self._backlog) >= self._enough
        share = self._window.max_bytes // max(1, len(self._partitions))
        for place, partition in self._partitions.items():
            wait = enough or partition.ledger.full or partition.ledger.bytes >= share
            if wait and place not in paused:
                self._consumer.pause(place)
            elif not wait and place in paused:
                self._consumer.resume(place)

    async def _place(self) -> None:
        """Find where to go on: where we were, else at the committed offset, else at the start."""
        if not self._unplaced:
            return
        places = list(self._unplaced)
        starts = await self._consumer.beginning_offsets(places)
        for place in places:
            committed = await self._consumer.committed(place)
            partition = self._held(place, committed)
            if partition is None:
                done = await self._done_sets.load(place.partition, committed or 0)
                partition = self._new(place, starts[place], committed, done)
            self._partitions[place] = partition
            self._consumer.seek(place, partition.ledger.position)
        self._unplaced.clear()
        self._consumer.resume(*places)

    def _held(self, place: TopicPartition, committed: int | None) -> Partition | None:
        """Return the work on a partition that came back, unless another member has had it."""
        held = self._partitions.get(place)
        if held is None or held.ledger.committed == committed:
            return held
        held.lost = True
        return None

    def _new(
        self, place: TopicPartition, start: int, committed: int | None, done: frozenset[int]
    ) -> Partition:
        position = start if committed is None else committed
        if position < start:
            raise DependencyError(
                "OffsetOutOfRange",
                f"{place.topic}/{place.partition}: the next item is {position}, the oldest in the"
                f" topic is {start}: what is between them is lost",
            )
        most = self._window.max_items
        return Partition(Ledger(position, committed=committed, done=done, max_items=most))

    async def _commit(self) -> None:
        pending = {
            place: offset
            for place, partition in self._partitions.items()
            if (offset := partition.ledger.pending) is not None
        }
        changed = [each for each in self._partitions.items() if each[1].ledger.changed]
        if not pending and not changed:
            return
        # Taken before anything is told: what finishes meanwhile is told, and kept, the next time.
        ahead = {place: partition.ledger.take_ahead() for place, partition in changed}
        kept = False
        try:
            await self._before_commit()
            try:
                if pending:
                    await self._commit_offsets(pending)
            finally:
                kept = await self._keep(ahead)
        finally:
            if not kept:
                for _, partition in changed:
                    partition.ledger.not_kept()

    async def _keep(self, ahead: dict[TopicPartition, list[int]]) -> bool:
        """Keep what is done beyond the offsets, as the group holds them by now.

        From an earlier one on, a group that somebody moves back to it would pass them over.
        """
        bases = {place: self._partitions[place].ledger.base for place in ahead}
        return await self._done_sets.save(
            {
                place.partition: (base, [offset for offset in ahead[place] if offset >= base])
                for place, base in bases.items()
                if base is not None
            }
        )

    async def _commit_offsets(self, pending: dict[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(pending)
        except (KafkaError, ValueError) as error:
            raise DependencyError(
                "BrokerUnreachable", f"the group's offsets were not committed: {error}"
            ) from error
        metrics.COMMITS.inc()
        for place, offset in pending.items():
            self._partitions[place].ledger.note_commit(offset)

    async def on_partitions_revoked(self, _revoked: Any) -> None:
        """Commit what is done; hold the lock until partitions are assigned."""
        await self._lock.revoked()
        try:
            await self._commit()
        except DependencyError as error:
            _LOG.info("not committed before the rebalance, done again after it: %s", error)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Keep the work of partitions that came back, forget that of those that went."""
        metrics.REBALANCES.inc()
        now = set(assigned)
        for place in set(self._partitions) - now:
            self._partitions.pop(place).lost = True
        self._unplaced = now
        if now:
            self._consumer.pause(*now)
        self._assignment += 1
        self._lock.assigned()
