"""The archiver: records into objects, an object's offsets committed once it is kept.

Everything that touches what is in hand happens under one lock, which a rebalance holds from the
moment partitions are revoked until others are assigned: no commit falls in between.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from sluice_api.errors import DependencyError
from sluice_workers import kafka, wire
from sluice_workers.archive import metrics
from sluice_workers.archive.assembly import Assembly, Limits, Trigger, held, next_due
from sluice_workers.archive.line import Record
from sluice_workers.archive.manifest import Place
from sluice_workers.archive.partition import PartitionArchive
from sluice_workers.archive.store import Store
from sluice_workers.membership import RebalanceLock, started
from sluice_workers.meter import Meter
from sluice_workers.runtime import ProcessContext
from sluice_workers.settings import ArchiverSettings, KafkaConnection
from sluice_workers.state import ProcessState
from sluice_workers.trouble import PAUSE, Troubles, pause

POLL: Final = 0.25
"""Seconds that one read waits for records."""
DRAIN: Final = 20.0
"""Seconds that a pod which is stopped has to keep what is in hand."""
QUIET: Final = 5.0
"""Seconds without a record after which a run that ends is not waited for."""
HELD_OBJECTS: Final = 2
"""Objects of the full size that a process holds at the most, all partitions together."""
READ_BYTES: Final = 4 << 20
"""About what one read may bring."""
UNKNOWN_BYTES: Final = 16 << 10
"""What a record is taken for until some have been seen."""
FETCH_BYTES: Final = 256 << 10
OPENED_AT_ONCE: Final = 32
"""Partitions whose manifests are read at the same time."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A partition of ours: its place in the archive, and what is in hand for it."""

    archive: PartitionArchive
    assembly: Assembly
    committed: int | None
    """What the group holds for it, as far as we know."""


class Archiver(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the job's group of archivers."""

    def __init__(self, settings: ArchiverSettings, context: ProcessContext) -> None:
        self._settings = settings
        self._context = context
        size = settings.archive.max_bytes
        self._limits = Limits(
            max_bytes=size,
            timeout=settings.archive.timeout.seconds,
            held_bytes=HELD_OBJECTS * size,
            quiet=QUIET if settings.ends else None,
        )
        self._lock = RebalanceLock()
        self._assignment = 0
        """Counts assignments: what was read under an earlier one is not ours any more."""
        self._held: dict[TopicPartition, _Held] = {}
        self._unplaced: set[TopicPartition] = set()
        """Assigned partitions for which it is not known where to go on."""
        self._store = Store(settings.archive.s3, context.folder)
        self._troubles = Troubles()
        now = time.monotonic()
        self._done, self._bytes, self._latency = Meter(now), Meter(now), Meter(now)
        self._total = 0
        self._fetched_at: int | None = None
        """The newest time of a record that was kept, epoch milliseconds."""

    async def run(self) -> None:
        """Archive until told to stop; what fails outside is tried again for ever."""
        self._consumer: AIOKafkaConsumer = kafka.consumer(
            KafkaConnection.read(self._context.folder),
            group=self._settings.job.group("archive"),
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        reporting = asyncio.create_task(self._report())
        try:
            if await self._start():
                self._consumer.subscribe([self._settings.records.name], listener=self)
                await self._loop()
        finally:
            reporting.cancel()
            try:
                await self._consumer.stop()
            except (KafkaError, OSError) as error:
                _LOG.info("while closing: %s", error)

    async def _start(self) -> bool:
        """Start the consumer; return False when told to stop before the broker answers."""
        return await started(self._consumer, self._context.stopping, self._troubles)

    async def _loop(self) -> None:
        while not self._context.stopping.is_set():
            try:
                await self._step()
            except NoOffsetForPartitionError:
                continue  # the client looked before the place was known
            except OffsetOutOfRangeError as error:
                self._troubles.say(
                    "OffsetOutOfRange",
                    f"records that are not archived yet are gone from the topic: {error}",
                )
                await self._rest()
            except KafkaError as error:
                self._troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
                await self._rest()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await self._rest()
        await self._drain()

    async def _rest(self) -> None:
        """Read nothing for a moment and hold what is in hand; the group still sees us poll."""
        assigned = self._consumer.assignment()
        if not assigned:
            await pause(self._context.stopping)
            return
        self._consumer.pause(*assigned)
        try:
            await self._consumer.getmany(timeout_ms=int(PAUSE * 1000))
        except KafkaError:  # the cause was said, or is the place that is not known yet
            await pause(self._context.stopping)

    async def _step(self) -> None:
        """Keep and commit what is due, then read a little."""
        async with self._lock:
            await self._place()
            await self._keep_due()
            await self._commit()
            assignment = self._assignment
            if paused := self._consumer.paused():
                self._consumer.resume(*paused)
        found = await self._consumer.getmany(
            timeout_ms=int(POLL * 1000), max_records=self._room(time.monotonic())
        )
        async with self._lock:
            if assignment == self._assignment:
                self._add(found.values())

    def _room(self, now: float) -> int:
        """How many records one read may bring: no more than an object, by their mean length."""
        most = min(READ_BYTES, self._limits.max_bytes)
        return max(1, int(most / (self._bytes.mean(now) or UNKNOWN_BYTES)))

    def _add(self, batches: Iterable[Sequence[Any]]) -> None:
        refused: DependencyError | None = None
        for messages in batches:
            place = TopicPartition(messages[0].topic, messages[0].partition)
            assembly = self._held[place].assembly
            try:
                self._assemble(messages, assembly)
            except DependencyError as error:
                # The client has passed what is not archived: it is read, and refused, again.
                self._consumer.seek(place, assembly.next)
                refused = error
        metrics.HELD.set(held([each.assembly for each in self._held.values()]))
        if refused is not None:
            raise refused

    def _assemble(self, messages: Sequence[Any], assembly: Assembly) -> None:
        now = time.monotonic()
        for message in messages:
            wire.refuse_other_generation(
                message.topic, message.headers, self._settings.records.generation
            )
            record = Record(
                partition=message.partition,
                offset=message.offset,
                timestamp=message.timestamp,
                key=message.key or b"",
                headers=tuple(message.headers),
                value=message.value or b"",
            )
            self._bytes.add(now, 1, assembly.add(record, now))

    async def _keep_due(self) -> None:
        """Keep the objects that are complete, one after the other."""
        while due := next_due(
            [each.assembly for each in self._held.values()], self._limits, time.monotonic()
        ):
            await self._keep(*due)

    async def _keep(self, assembly: Assembly, trigger: Trigger) -> None:
        place, mine = next(
            (place, each) for place, each in self._held.items() if each.assembly is assembly
        )
        started = time.monotonic()
        ends = await mine.archive.keep(assembly)
        now = time.monotonic()
        if ends != assembly.next:
            self._consumer.seek(place, ends)
        mine.assembly = Assembly(ends)
        metrics.OBJECTS.labels(trigger).inc()
        metrics.PUT.observe(now - started)
        self._latency.add(now, 1, now - started)
        self._total += assembly.records
        self._fetched_at = max(self._fetched_at or 0, assembly.latest)
        self._done.add(now, assembly.records)
        self._troubles.clear()

    async def _commit(self) -> None:
        """Commit where what is not archived yet begins."""
        behind = {
            place: each.assembly.first
            for place, each in self._held.items()
            if each.committed != each.assembly.first
        }
        if not behind:
            return
        await self._consumer.commit(behind)
        for place, offset in behind.items():
            self._held[place].committed = offset

    async def _place(self) -> None:
        """Find where to go on in each partition that was assigned."""
        places = sorted(self._unplaced)
        if not places:
            return
        starts = await self._consumer.beginning_offsets(places)
        for some in range(0, len(places), OPENED_AT_ONCE):
            chunk = places[some : some + OPENED_AT_ONCE]
            opened = await asyncio.gather(*(self._opened(each, starts[each]) for each in chunk))
            self._held.update(zip(chunk, opened, strict=True))
        for place in places:
            self._consumer.seek(place, self._held[place].assembly.next)
        self._unplaced.clear()
        self._troubles.clear()

    async def _opened(self, place: TopicPartition, start: int) -> _Held:
        """Return what is held of a partition, unless another member has had it meanwhile.

        The manifest may be ahead of the group: an object was kept, its offset not committed.
        """
        committed: int | None = await self._consumer.committed(place)
        known = self._held.get(place)
        if known is not None and known.committed == committed:
            return known
        records = self._settings.records
        there = Place(
            job=self._settings.job,
            run=self._settings.run,
            topic=records.name,
            generation=records.generation,
            partition=place.partition,
        )
        archive = PartitionArchive(self._store, there)
        ends = [each for each in (committed, await archive.open()) if each is not None]
        at = max(ends, default=start)
        if at < start:
            group = self._settings.job.group("archive")
            raise DependencyError(
                "OffsetOutOfRange",
                f"{place.topic}/{place.partition}: the next record to archive is {at}, the oldest"
                f" in the topic is {start}: what is between them cannot be archived any more. To go"
                f" on without it, stop the job (spec.suspend) and set group {group} to {start}",
            )
        return _Held(archive, Assembly(at), committed)

    async def _drain(self) -> None:
        """Keep what is in hand within DRAIN seconds, else leave it to the successor."""
        async with self._lock:
            try:
                async with asyncio.timeout(DRAIN):
                    for each in list(self._held.values()):
                        if each.assembly.records:
                            await self._keep(each.assembly, Trigger.DRAIN)
                    await self._commit()
            except (TimeoutError, DependencyError, KafkaError) as error:
                _LOG.info("left to the successor: %s", error or "it took too long")

    async def on_partitions_revoked(self, _revoked: Any) -> None:
        """Hold the lock until partitions are assigned; what is in hand may stay ours."""
        await self._lock.revoked()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Forget what is in hand of partitions that went; nothing of it was committed."""
        metrics.REBALANCES.inc()
        now = set(assigned)
        self._held = {place: each for place, each in self._held.items() if place in now}
        self._unplaced = now
        self._assignment += 1
        if now:
            self._consumer.pause(*now)
        self._lock.assigned()

    async def _report(self) -> None:
        while True:
            self._measure()
            self._context.report(self._state(time.monotonic()))
            await asyncio.sleep(1)

    def _measure(self) -> None:
        """Tell the lag: also while the bucket is away, when it matters most."""
        lag = sum(
            max(0, (self._consumer.highwater(place) or 0) - self._held[place].assembly.first)
            for place in self._consumer.assignment() & self._held.keys() - self._unplaced
        )
        behind = lag > 0 and self._fetched_at is not None
        age = time.time() - (self._fetched_at or 0) / 1000 if behind else 0.0
        metrics.LAG.set(lag)
        metrics.LAG_SECONDS.set(max(0.0, age))

    def _state(self, now: float) -> ProcessState:
        return ProcessState(
            process=self._context.index,
            ready=self._assignment > 0 and not self._unplaced,
            trouble=self._troubles.current(),
            assigned=tuple(sorted(place.partition for place in self._held)),
            in_flight=sum(each.assembly.records for each in self._held.values()),
            done=self._total,
            rate=self._done.rate(now),
            latency=self._latency.mean(now),
            message_bytes=self._bytes.mean(now),
        )


async def run(context: ProcessContext) -> None:
    """Run an archiver in a child process of the pod."""
    settings = ArchiverSettings.read(context.folder, "archiver")
    await Archiver(settings, context).run()
