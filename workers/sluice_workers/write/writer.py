"""The writer: records into batches, batches into Postgres.

Everything that touches the batch or the positions happens under one lock, which a rebalance holds
from the moment partitions are revoked until others are assigned: no commit falls in between.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from redis.asyncio import Redis

from sluice_api.errors import DependencyError
from sluice_workers import failures, kafka, wire
from sluice_workers.failures import Failures
from sluice_workers.meter import Meter
from sluice_workers.producer import Producer
from sluice_workers.runtime import ProcessContext
from sluice_workers.settings import KafkaConnection, WriterSettings, read_text
from sluice_workers.state import ProcessState
from sluice_workers.trouble import Troubles, pause
from sluice_workers.write import metrics
from sluice_workers.write.batch import Batcher, Entry, Limits, Rejected, Trigger
from sluice_workers.write.committer import Committer
from sluice_workers.write.offsets import FencedError, Owner
from sluice_workers.write.row import InvalidRecordError, RowParser
from sluice_workers.write.sink import Sink, connect

POLL: Final = 0.25
"""Seconds that one read waits for records."""
DRAIN: Final = 2.5
"""Seconds that a rebalance waits for the batch in hand; what is left is read again by the next."""
FETCH_BYTES: Final = 1 << 20
_LOG: Final = logging.getLogger(__name__)


class Writer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the job's group of writers."""

    def __init__(self, settings: WriterSettings, context: ProcessContext) -> None:
        self._settings = settings
        self._context = context
        self._uri = settings.sink.secret_ref.key
        self._parser = RowParser(settings.sink)
        batch = settings.batch
        self._batcher = Batcher(
            Limits(batch.min_size, batch.max_size, batch.max_bytes, batch.timeout.seconds)
        )
        self._max_records = batch.max_size
        generation = settings.records.generation
        self._owner = Owner(settings.uid, str(settings.job), generation)
        self._lock = asyncio.Lock()
        self._rebalancing = False
        self._assigned: set[TopicPartition] = set()
        self._assignment = 0
        """Counts assignments: what was read under an earlier one is not ours any more."""
        self._committer: Committer | None = None
        """None while the assigned partitions are not claimed."""
        self._sink: Sink | None = None
        self._troubles = Troubles()
        self._done = Meter(time.monotonic())
        self._bytes = Meter(time.monotonic())
        self._latency = Meter(time.monotonic())
        self._total = self._failed = 0

    async def run(self) -> None:
        """Write until told to stop; what fails outside is tried again for ever."""
        connection = KafkaConnection.read(self._context.folder)
        redis = failures.connect(read_text(self._context.folder / "redis" / "url").strip())
        producer = Producer(connection, self._settings.compression)
        self._failures = Failures(redis, producer, self._settings.dead, self._settings.job)
        self._consumer: AIOKafkaConsumer = kafka.consumer(
            connection,
            group=self._settings.job.group("write"),
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
            await self._close(producer, redis)

    async def _start(self) -> bool:
        """Start the consumer; return False when told to stop before the broker answers."""
        while not self._context.stopping.is_set():
            try:
                await self._consumer.start()
            except KafkaError as error:
                self._troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
                await pause(self._context.stopping)
            else:
                self._troubles.clear()
                return True
        return False

    async def _close(self, producer: Producer, redis: Redis) -> None:
        for closing in (self._consumer.stop(), producer.close(), redis.aclose()):
            try:
                await closing
            except (KafkaError, OSError) as error:
                _LOG.info("while closing: %s", error)
        if self._sink is not None:
            await self._sink.close()

    async def _loop(self) -> None:
        while not self._context.stopping.is_set():
            try:
                await self._step()
            except FencedError as error:
                metrics.FENCED.inc()
                _LOG.warning("%s: claiming again", error)
                await self._give_back()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await self._give_back()
                await pause(self._context.stopping)
            except NoOffsetForPartitionError:
                continue  # the client looked before the claim; its answer is not needed
            except OffsetOutOfRangeError as error:
                self._troubles.say(
                    "OffsetOutOfRange",
                    f"records that were not written yet are gone from the topic: {error}",
                )
                await pause(self._context.stopping)
            except KafkaError as error:
                self._troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
                await pause(self._context.stopping)
        async with self._lock:
            await self._drain()

    async def _step(self) -> None:
        """Claim what is not claimed, read a little, commit what is due."""
        async with self._lock:
            if self._assigned and self._committer is None:
                await self._claim()
            assignment = self._assignment
        wait = self._batcher.wait(time.monotonic())
        timeout = POLL if wait is None else min(POLL, wait)
        room = max(1, self._batcher.room)
        found = await self._consumer.getmany(timeout_ms=int(timeout * 1000), max_records=room)
        async with self._lock:
            if assignment == self._assignment and self._committer is not None:
                self._add(found.values())
            if trigger := self._batcher.due(time.monotonic()):
                await self._flush(trigger)

    def _add(self, batches: Iterable[Sequence[Any]]) -> None:
        now = time.monotonic()
        for messages in batches:
            for message in messages:
                self._batcher.add(self._entry(message), now)
        metrics.BUFFERED.set(len(self._batcher))

    def _entry(self, message: Any) -> Entry:
        self._refuse_other_generation(message)
        value = message.value or b""
        self._bytes.add(time.monotonic(), 1, len(value))
        content: Any
        try:
            content = self._parser.parse(
                message.key, message.value, message.headers, message.timestamp
            )
        except InvalidRecordError as error:
            key = (message.key or b"").decode(errors="replace")
            item = wire.header(message.headers, wire.ITEM) or ""
            text = value.decode(errors="replace")
            content = Rejected(key, item, str(error), text)
            self._failed += 1
        return Entry(message.partition, message.offset, len(value), content)

    def _refuse_other_generation(self, message: Any) -> None:
        found = wire.header(message.headers, wire.GENERATION)
        wanted = str(self._settings.records.generation)
        if found is not None and found != wanted:
            raise DependencyError(
                "TopicRecreated",
                f"topic {message.topic} holds records of generation {found}, wanted {wanted}:"
                " it was made anew behind the operator's back",
            )

    async def _flush(self, trigger: Trigger) -> None:
        """Commit the batch in hand; then let the group's offsets in Kafka follow."""
        entries = self._batcher.take()
        if not entries or self._committer is None:
            return
        started = time.monotonic()
        await self._committer.commit(entries)
        now = time.monotonic()
        self._troubles.clear()
        self._total += len(entries)
        self._done.add(now, len(entries))
        self._latency.add(now, 1, now - started)
        metrics.BATCHES.labels(trigger).inc()
        metrics.BUFFERED.set(0)
        await self._follow({entry.partition for entry in entries})

    async def _follow(self, partitions: Iterable[int]) -> None:
        """Commit to Kafka what Postgres says; Postgres is the truth, so a failure costs nothing."""
        if self._committer is None:
            return
        topic, positions = self._settings.records.name, self._committer.positions
        offsets = {
            TopicPartition(topic, partition): positions[partition].next_offset
            for partition in partitions
        }
        try:
            await self._consumer.commit(offsets)
        except (KafkaError, ValueError) as error:
            _LOG.info("the group's offsets in Kafka will follow later: %s", error)

    async def _claim(self) -> None:
        """Claim the assigned partitions, and go on where Postgres says."""
        if self._sink is None:
            uri = read_text(self._context.folder / "sink" / self._uri).strip()
            self._sink = await connect(uri, self._settings.sink, f"sluice/{self._settings.job}")
        starts = await self._consumer.beginning_offsets(list(self._assigned))
        places = {place.partition: offset for place, offset in starts.items()}
        positions = await self._sink.claim(self._owner, places)
        for place in self._assigned:
            at = positions[place.partition].next_offset
            if at < places[place.partition]:
                raise DependencyError(
                    "OffsetOutOfRange",
                    f"{place.topic}/{place.partition}: the next record to write is {at}, the oldest"
                    f" in the topic is {places[place.partition]}: what is between them is lost",
                )
            self._consumer.seek(place, at)
        self._consumer.resume(*self._assigned)
        self._committer = Committer(self._sink, self._owner, positions, self._failures)
        self._troubles.clear()
        await self._follow(positions)

    async def _give_back(self) -> None:
        """Forget what is in hand and the session: only a new claim tells what was committed."""
        async with self._lock:
            self._batcher.take()
            self._committer = None
            if self._assigned:
                self._consumer.pause(*self._assigned)
            if self._sink is not None:
                await self._sink.close()
                self._sink = None

    async def _drain(self) -> None:
        """Commit what is in hand within DRAIN seconds, else leave it to the successor."""
        if self._committer is None:
            return
        try:
            async with asyncio.timeout(DRAIN):
                await self._flush(Trigger.DRAIN)
        except (TimeoutError, DependencyError, FencedError) as error:
            _LOG.info("left to the successor: %s", error or "it took too long")
            if self._sink is not None:
                await self._sink.close()
                self._sink = None

    async def on_partitions_revoked(self, _revoked: Any) -> None:
        """Commit what is in hand; hold the lock until partitions are assigned."""
        if not self._rebalancing:
            await self._lock.acquire()
            self._rebalancing = True
        await self._drain()
        self._batcher.take()
        self._committer = None
        self._assigned = set()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Take note of the partitions; they are claimed outside of the rebalance."""
        metrics.REBALANCES.inc()
        self._assigned = set(assigned)
        self._assignment += 1
        if self._assigned:
            self._consumer.pause(*self._assigned)
        if self._rebalancing:
            self._rebalancing = False
            self._lock.release()

    async def _report(self) -> None:
        while True:
            self._context.report(self._state(time.monotonic()))
            await asyncio.sleep(1)

    def _state(self, now: float) -> ProcessState:
        return ProcessState(
            process=self._context.index,
            ready=self._committer is not None or (self._assignment > 0 and not self._assigned),
            trouble=self._troubles.current(),
            assigned=tuple(sorted(place.partition for place in self._assigned)),
            in_flight=len(self._batcher),
            done=self._total,
            failed=self._failed,
            rate=self._done.rate(now),
            latency=self._latency.mean(now),
            message_bytes=self._bytes.mean(now),
        )


async def run(context: ProcessContext) -> None:
    """Run a writer in a child process of the pod."""
    settings = WriterSettings.read(context.folder, "writer")
    await Writer(settings, context).run()
