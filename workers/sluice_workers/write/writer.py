"""The writer: records into batches, batches into Postgres.

What is read and what is committed overlap (``pipeline.py``). Partitions change hands under one
lock, which a rebalance holds from the moment they are revoked until others are assigned: no commit
to Kafka falls in between, or the group would storm.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from redis.asyncio import Redis

from sluice_api.errors import DependencyError
from sluice_workers import kafka, redis_client
from sluice_workers.failures import Failures
from sluice_workers.membership import RebalanceLock, started
from sluice_workers.producer import Producer
from sluice_workers.runtime import ProcessContext
from sluice_workers.runtime.cancel import cancel
from sluice_workers.runtime.garbage import collect_seldom
from sluice_workers.settings import KafkaConnection, WriterSettings
from sluice_workers.state import Trouble
from sluice_workers.trouble import Troubles, pause
from sluice_workers.write import metrics, pool, record_ids
from sluice_workers.write.appender import Appender, Unparsed
from sluice_workers.write.batch import Batcher, Limits, Outcome
from sluice_workers.write.claims import claim, look
from sluice_workers.write.committer import Committer
from sluice_workers.write.database import connect, sink_uri
from sluice_workers.write.lag import Lag
from sluice_workers.write.merger import Consumed, Merger
from sluice_workers.write.offsets import FencedError, Owner, Position, next_offsets
from sluice_workers.write.pipeline import Pipeline
from sluice_workers.write.progress import Progress
from sluice_workers.write.reader import Reader, fetch_bytes
from sluice_workers.write.row import Parser, RowParser, identify
from sluice_workers.write.session import Session
from sluice_workers.write.size import SHORTEST, ladder
from sluice_workers.write.start import Gap, Start
from sluice_workers.write.turns import Turns

POLL: Final = 0.25
"""Seconds that one read waits for records."""
DRAIN: Final = 2.5
"""Seconds that a rebalance waits for the batch in hand; what is left is read again by the next."""
FOLLOW: Final = 1.0
"""Seconds between two commits of the group's offsets in Kafka."""
LOOK_AGAIN: Final = 10.0
"""Seconds after which a partition with a gap is looked at again."""
GARBAGE_AFTER: Final = 200_000
"""Objects after which the collector looks for cycles: 20,000 records in hand have no more."""
_LOG: Final = logging.getLogger(__name__)


class Writer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member of the job's group of writers."""

    def __init__(self, settings: WriterSettings, context: ProcessContext) -> None:
        self._settings = settings
        self._context = context
        self._durable = settings.sink.durable_buffer
        self._parser: Parser = Unparsed() if self._durable else RowParser(settings.sink)
        self._identity = identify(settings.sink)
        batch = settings.batch
        self._limits = Limits(batch.min_size, batch.max_bytes, batch.timeout.seconds)
        self._sizing = ladder(batch.min_size, batch.max_size)
        self._owner = Owner(settings.uid, str(settings.job), settings.records.generation)
        self._lock = RebalanceLock()
        self._assigned: set[TopicPartition] = set()
        self._pipeline: Pipeline | None = None
        """None while the assigned partitions are not claimed."""
        self._session: Session | None = None
        self._merger: Merger | None = None
        """None when the buffer is not durable."""
        self._merging: asyncio.Task[None] | None = None
        self._gaps: dict[int, Gap] = {}
        self._followed: dict[int, int] = {}
        self._follow_at = self._look_at = 0.0
        self._troubles = Troubles()
        self._progress = Progress(time.monotonic())

    async def run(self) -> None:
        """Write until told to stop; what fails outside is tried again for ever."""
        connection = KafkaConnection.read(self._context.folder)
        redis = redis_client.connect(url := redis_client.read_url(self._context.folder))
        producer = Producer(connection, self._settings.compression)
        self._failures = Failures(redis, producer, self._settings.dead, self._settings.job)
        self._consumer: AIOKafkaConsumer = kafka.consumer(
            connection,
            group=self._settings.job.group("write"),
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            max_partition_fetch_bytes=fetch_bytes(self._settings.partitions),
        )
        following = redis_client.follow(redis, url, self._context.folder, self._troubles.say)
        beside = [asyncio.create_task(work) for work in (self._report(), following)]
        try:
            if self._durable is not None:
                self._merger = self._make_merger(redis)
                self._merging = asyncio.create_task(self._merger.run())
            if await self._start():
                self._consumer.subscribe([self._settings.records.name], listener=self)
                lag = Lag(self._consumer, lambda: self._assigned, self._written, self._progress.lag)
                beside.append(asyncio.create_task(lag.run()))
                await self._loop()
        finally:
            await cancel(beside)
            await self._close(producer, redis)

    def _make_merger(self, redis: Redis) -> Merger:
        sink = self._settings.sink
        merger = Merger(
            self._settings, self._open, self._failures, self._consumed, self._progress.committed
        )
        if self._durable is not None and self._durable.shared:
            uri = sink_uri(self._context.folder / "sink", sink.secret_ref.key)
            merger.turn = Turns(redis, uri, sink.table).turn
        return merger

    def _consumed(self) -> Consumed:
        pipeline = self._pipeline
        return Consumed(
            {place.partition for place in self._assigned},
            {} if pipeline is None else pipeline.committer.committed,
        )

    async def _start(self) -> bool:
        """Start the consumer; return False when told to stop before the broker answers."""
        return await started(self._consumer, self._context.stopping, self._troubles)

    async def _close(self, producer: Producer, redis: Redis) -> None:
        if self._merging is not None:
            self._merging.cancel()
            await asyncio.wait({self._merging})
        for closing in (self._consumer.stop(), producer.close(), redis.aclose()):
            try:
                await closing
            except (KafkaError, OSError) as error:
                _LOG.info("while closing: %s", error)
        await self._forget()

    async def _loop(self) -> None:
        while not self._context.stopping.is_set():
            try:
                await self._step()
            except FencedError as error:
                metrics.FENCED.inc()
                _LOG.warning("%s: claiming again", error)
                await self._give_back()
            except DependencyError as error:
                metrics.FAILURES.labels(error.reason).inc()
                self._troubles.say(error.reason, str(error))
                await self._give_back()
                await pause(self._context.stopping)
            except NoOffsetForPartitionError:
                continue  # the client looked before the claim; its answer is not needed
            except OffsetOutOfRangeError:
                await self._give_back()  # the claim tells what is gone
                await pause(self._context.stopping)
            except KafkaError as error:
                self._troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
                await pause(self._context.stopping)
        async with self._lock:
            await self._drain()

    async def _step(self) -> None:
        """Claim what is not claimed, then read a little."""
        if self._merging is not None and self._merging.done():
            self._merging.result()
        async with self._lock:
            if self._assigned and self._pipeline is None:
                await self._claim()
            pipeline = self._pipeline
            await self._follow()
        room = SHORTEST if pipeline is None else await pipeline.room(POLL)
        if not room:
            return
        found = await self._consumer.getmany(timeout_ms=int(POLL * 1000), max_records=room)
        # What was read under an earlier claim is not ours any more.
        if found and pipeline is not None and pipeline is self._pipeline:
            batch = self._reader.read(found.values(), time.monotonic())
            self._progress.read(batch)
            pipeline.add(batch)
            # While there is more to read, nothing else here waits: the commit would stand still.
            # At the first the database's answer comes in, by the second the commit has gone on.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _claim(self) -> None:
        """Claim the assigned partitions, and go on where Postgres says."""
        if self._session is None:
            self._session = self._open()
        found = await claim(self._consumer, self._session, self._owner, self._assigned)
        self._gaps = dict(found.gaps)
        self._look_at = time.monotonic() + LOOK_AGAIN
        starts = next_offsets(found.positions)
        for place in self._assigned:
            if place.partition in starts:
                self._consumer.seek(place, starts[place.partition])
                self._consumer.resume(place)
        committer = self._make_committer(self._session, found.positions)
        self._reader = Reader(self._parser, self._settings.records, starts)
        batcher = Batcher(self._limits, self._sizing.size)
        self._pipeline = Pipeline(
            committer, batcher, self._sizing, self._committed, self._together()
        )
        self._troubles.clear()
        if self._merger is not None:
            self._merger.merged = {}
        self._followed = {}
        self._follow_at = 0.0

    def _make_committer(
        self, session: Session, positions: Mapping[int, Position]
    ) -> Committer | Appender:
        say = self._troubles.say
        if self._durable is None or self._merger is None:
            return Committer(session, self._owner, positions, self._failures, self._identity, say)
        filled = self._merger.filled
        return Appender(session, self._owner, positions, self._durable, filled, say)

    def _together(self) -> int:
        """Return how many transactions may be under way, all but one of them at their COMMIT."""
        # Where record ids are apart a merge reads what the one before it has committed.
        alone = self._durable is not None or record_ids.apart(self._settings.sink)
        return 1 if alone else pool.MOST

    def _open(self) -> Session:
        application = f"sluice/{self._settings.job}"
        folder, key = self._context.folder / "sink", self._settings.sink.secret_ref.key

        async def opened() -> Any:
            return await connect(sink_uri(folder, key), application)

        return Session(pool.Pool(opened), self._settings.sink, application)

    async def _follow(self) -> None:
        """Commit to Kafka what Postgres says; Postgres is the truth, so a failure costs nothing.

        What waits in a durable buffer does not count: lag tells what is not in the table.
        """
        now = time.monotonic()
        if self._pipeline is None or now < self._follow_at:
            return
        self._follow_at = now + FOLLOW
        topic = self._settings.records.name
        ends = self._written()
        moved = {at: end for at, end in ends.items() if self._followed.get(at) != end}
        try:
            if moved:
                await self._consumer.commit(
                    {TopicPartition(topic, at): end for at, end in moved.items()}
                )
            self._followed |= moved
        except (KafkaError, ValueError) as error:
            _LOG.info("the group's offsets in Kafka will follow later: %s", error)
        if self._gaps and now >= self._look_at:
            await self._look_at_gaps(now)

    def _written(self) -> Mapping[int, int]:
        """Return how far the claimed partitions are in the table, the next offset of each."""
        ends = self._consumed().positions
        if self._merger is None:
            return ends
        return {at: end for at, end in self._merger.merged.items() if at in ends}

    async def _look_at_gaps(self, now: float) -> None:
        """Claim everything anew when somebody has decided about a partition with a gap."""
        self._look_at = now + LOOK_AGAIN
        places = [place for place in self._assigned if place.partition in self._gaps]
        session = self._open()
        try:
            found = await look(self._consumer, session, self._owner, places)
        finally:
            await session.close()
        if any(isinstance(each, Start) for each in found.values()):
            await self._drain()

    def _committed(self, outcome: Outcome, seconds: float) -> None:
        if not outcome.mostly_refused:
            self._troubles.clear()
        if self._merger is None:
            self._progress.committed(outcome, seconds)

    async def _give_back(self) -> None:
        """Forget what is in hand and the session: only a new claim tells what was committed."""
        async with self._lock:
            await self._forget()
            if self._assigned:
                self._consumer.pause(*self._assigned)

    async def _forget(self) -> None:
        if self._pipeline is not None:
            self._sizing = self._pipeline.sizing
            await self._pipeline.abandon()
            self._pipeline = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _drain(self) -> None:
        """Commit what is in hand within DRAIN seconds, else leave it to the successor."""
        if self._pipeline is None:
            return
        try:
            await self._pipeline.finish(DRAIN)
        except (TimeoutError, DependencyError, FencedError) as error:
            _LOG.info("left to the successor: %s", error or "it took too long")
            await self._forget()
            return
        self._follow_at = 0.0
        self._gaps = {}
        await self._follow()
        self._sizing, self._pipeline = self._pipeline.sizing, None

    async def on_partitions_revoked(self, _revoked: Any) -> None:
        """Commit what is in hand; hold the lock until partitions are assigned."""
        await self._lock.revoked()
        await self._drain()
        self._assigned = set()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Take note of the partitions; they are claimed outside of the rebalance."""
        metrics.REBALANCES.inc()
        self._assigned = set(assigned)
        self._progress.assigned = True
        if self._assigned:
            self._consumer.pause(*self._assigned)
        self._lock.assigned()

    async def _report(self) -> None:
        while True:
            gap = next(iter(self._gaps.values()), None)
            if gap is not None:
                self._troubles.say(gap.reason, gap.message)
            partitions = tuple(sorted(place.partition for place in self._assigned))
            state = self._progress.state(self._context.index, partitions, self._pipeline)
            self._context.report(state.model_copy(update={"trouble": self._trouble()}))
            await asyncio.sleep(1)

    def _trouble(self) -> Trouble | None:
        """Return what the merger complains of, for then the writer only waits; else its own."""
        merging = None if self._merger is None else self._merger.troubles.current()
        return merging or self._troubles.current()


async def run(context: ProcessContext) -> None:
    """Run a writer in a child process of the pod."""
    settings = WriterSettings.read(context.folder, "writer")
    collect_seldom(GARBAGE_AFTER)
    await Writer(settings, context).run()
