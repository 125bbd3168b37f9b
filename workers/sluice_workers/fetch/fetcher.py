"""The fetcher: items in, requests in flight, records out.

A fixed number of slots takes items whose turn has come. A slot is held for one request, never for a
wait: an item that is to be tried again waits on a timer, one that is to be acknowledged in a task.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import DependencyError
from sluice_workers import kafka, redis_client
from sluice_workers.failures import Failures
from sluice_workers.fetch import metrics, retry
from sluice_workers.fetch.assembly import Assembly
from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.breaker import blames_api
from sluice_workers.fetch.breakers import Breakers, OriginPausedError
from sluice_workers.fetch.completion import Completions
from sluice_workers.fetch.done import DoneSets
from sluice_workers.fetch.intake import Intake
from sluice_workers.fetch.outcome import Again, Failure, Fetched
from sluice_workers.fetch.partition import Work
from sluice_workers.fetch.paused import Paused
from sluice_workers.fetch.recoveries import Recoveries
from sluice_workers.fetch.routes import Route
from sluice_workers.meter import Meter
from sluice_workers.producer import Producer
from sluice_workers.runtime import ProcessContext
from sluice_workers.runtime.cancel import cancel
from sluice_workers.settings import FetcherSettings, KafkaConnection
from sluice_workers.state import ProcessState
from sluice_workers.trouble import PAUSE, Troubles, pause

COMMIT_EVERY: Final = 1.0
"""Seconds between two commits."""
DRAIN: Final = 15.0
"""Seconds that requests in flight have to end when the pod is stopped."""
LEAST_WAITING: Final = 2000
"""Items that wait for a slot at the least before no more are read: fast APIs need some ahead."""
LONG_REST: Final = 30.0
"""Seconds of a rest that are worth telling."""
FETCH_BYTES: Final = 128 << 10
_LOG: Final = logging.getLogger(__name__)


class Fetcher:
    """One event loop of the job's group of fetchers."""

    def __init__(self, settings: FetcherSettings, context: ProcessContext) -> None:
        self._settings = settings
        self._context = context
        self._backlog = Backlog()
        self._breakers = Breakers(settings.circuit_breaker)
        self._paused = Paused(self._breakers, self._backlog)
        self._acknowledging: set[asyncio.Task[None]] = set()
        """What waits for the broker's and Redis's acknowledgements."""
        self._troubles = Troubles()
        self._latency = Meter(time.monotonic())
        self._in_flight = 0

    async def run(self) -> None:
        """Fetch until told to stop; what fails outside is tried again for ever."""
        settings, folder = self._settings, self._context.folder
        connection = KafkaConnection.read(folder)
        redis = redis_client.connect(url := redis_client.read_url(folder))
        self._producer = Producer(connection, settings.compression)
        self._failures = Failures(redis, self._producer, settings.dead, settings.job)
        recoveries = Recoveries(self._failures)
        parts = Assembly(settings, folder, redis, self._troubles.say)
        self._limiter = parts.limiter()
        self._source = parts.source(self._permission, self._paused)
        self._routes = parts.routes()
        consumer = kafka.consumer(
            connection,
            group=settings.job.group("fetch"),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        done_sets = DoneSets(redis, settings.job, settings.items)
        enough = max(LEAST_WAITING, 4 * settings.concurrency)
        self._intake = Intake(
            consumer,
            settings.items,
            self._backlog,
            enough,
            settings.window,
            done_sets,
            recoveries.tell,
        )
        self._completions = Completions(
            self._producer,
            settings.records,
            self._failures,
            recoveries,
            self._troubles,
            self._intake.finish,
        )
        following = redis_client.follow(redis, url, folder, self._troubles.say)
        beside = [asyncio.create_task(work) for work in (self._report(), following)]
        try:
            if await self._start(consumer, connection):
                await self._work(connection)
        finally:
            await cancel(beside)
            await self._close(consumer, redis)

    async def _start(self, consumer: Any, connection: KafkaConnection) -> bool:
        """Start the clients of the broker; return False when told to stop before it answers."""
        while not self._context.stopping.is_set():
            try:
                await self._failures.ensure(connection)
                await consumer.start()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await pause(self._context.stopping)
            except KafkaError as error:
                self._troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
                await pause(self._context.stopping)
            else:
                self._intake.subscribe()
                return True
        return False

    async def _work(self, connection: KafkaConnection) -> None:
        """Work until told to stop. What nobody foresaw in any task ends all: the pod says so."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            tasks = [group.create_task(self._slot()) for _ in range(self._settings.concurrency)]
            regular = (self._intake.commit, partial(self._failures.ensure, connection))
            tasks += [group.create_task(self._again_and_again(work)) for work in regular]
            while not self._context.stopping.is_set():
                try:
                    await self._intake.take()
                except DependencyError as error:
                    self._troubles.say(error.reason, str(error))
                    await pause(self._context.stopping)
            await self._drain()
            await cancel([*tasks, *self._acknowledging])
        try:
            await self._intake.commit()
        except DependencyError as error:
            _LOG.info("the last offsets were not committed: %s", error)

    async def _drain(self) -> None:
        """Wait for what is in flight, and for its acknowledgements; slots start nothing more."""
        deadline = time.monotonic() + DRAIN
        while (self._in_flight or self._acknowledging) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    async def _close(self, consumer: Any, redis: Redis) -> None:
        for closing in (
            consumer.stop(),
            self._producer.close(),
            self._routes.close(),
            redis.aclose(),
        ):
            try:
                await closing
            except (KafkaError, RedisError, OSError) as error:
                _LOG.info("while closing: %s", error)

    async def _slot(self) -> None:
        """Ask for one item after the other."""
        while True:
            waiting = await self._backlog.get()
            if self._breakers.pause(origin := self._source.origin(waiting.item)):
                self._paused.hold(origin, waiting)
                continue
            await self._completions.unsent.room()
            await self._rest()  # before the way is taken: a rest holds no connection
            route = await self._routes.take(waiting.item.key)
            started, failure = time.monotonic(), None
            try:
                await self._permission()
                work = self._startable(waiting)
                if work is None or self._context.stopping.is_set():
                    continue
                started = time.monotonic()
                failure = await self._attempt(work, route)
            finally:
                self._routes.give_back(route, failure, started)

    def _startable(self, first: Work) -> Work | None:
        """Return the item that a permission serves: the first whose origin may be asked.

        Meanwhile a partition may have gone, and an origin may have been found to be down.
        """
        work: Work | None = first
        while work is not None:
            if not work.partition.lost:
                origin = self._source.origin(work.item)
                if self._paused.admits(origin):
                    return work
                self._paused.hold(origin, work)
            work = self._backlog.get_nowait()
        return None

    async def _attempt(self, work: Work, route: Route) -> Failure | None:
        """Ask once; return how it failed, if it did."""
        started = time.monotonic()
        self._in_flight += 1
        try:
            outcome = await self._source.ask(work.item, route)
        except OriginPausedError as error:
            self._paused.hold(error.origin, work)
            return None
        finally:
            self._in_flight -= 1
        ended = time.monotonic()
        metrics.LATENCY.observe(ended - started)
        self._latency.add(ended, 1, ended - started)
        if isinstance(outcome, Fetched):
            metrics.counted(metrics.ATTEMPTS, "fetched").inc()
            self._spawn(self._completions.succeed(work, outcome))
        else:
            metrics.ATTEMPTS.labels(outcome.reason).inc()
            self._judge(work, outcome, started, ended)
        if outcome.rest is not None:
            self._spawn(self._slow_down(outcome.rest, lower=False))
        return outcome if isinstance(outcome, Failure) else None

    def _judge(self, work: Work, failure: Failure, started: float, ended: float) -> None:
        """Tell what a failure means for the API, then for the item."""
        if failure.reason in retry.INNOCENT:
            work.spent += ended - started
            self._fail(work, failure)
            return
        if failure.rate_limited:
            self._spawn(self._slow_down(failure.retry_after or 0.0, lower=True))
        if failure.origin is not None and not self._is_held_against(failure, started):
            self._paused.hold(failure.origin, work)
            return
        work.attempts += not failure.rate_limited
        work.refusals += failure.rate_limited
        work.spent += ended - started
        self._fail(work, failure)

    def _is_held_against(self, failure: Failure, started: float) -> bool:
        """Tell the origin's breaker of a failure; return whether it counts against the item."""
        assert failure.origin is not None  # noqa: S101  the caller looked
        if blames_api(failure):
            return self._breakers.failed(failure.origin, started, failure.message)
        self._paused.answered(failure.origin)
        return True

    async def _slow_down(self, rest: float, *, lower: bool) -> None:
        """Tell the rate limit what the API said; while Redis does not listen, go on without."""
        try:
            await self._limiter.slow_down(rest=rest, lower=lower)
        except DependencyError as error:
            self._troubles.say(error.reason, str(error))

    async def _rest(self) -> None:
        """Wait while the rate limit rests."""
        while rest := self._limiter.rest(time.monotonic()):
            if rest > LONG_REST:
                message = f"the API asked for a rest: nothing is sent for {rest:.0f} s"
                self._troubles.say("ApiRests", message)
            await asyncio.sleep(min(rest, PAUSE))

    async def _permission(self) -> None:
        """Wait until a request may start; while Redis does not tell, none may."""
        while True:
            try:
                await self._limiter.acquire()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await pause(self._context.stopping)
            else:
                return

    def _fail(self, work: Work, failure: Failure) -> None:
        decision = retry.decide(
            self._settings.retry,
            failure,
            attempts=work.attempts,
            refusals=work.refusals,
            elapsed=work.spent,
            chance=random.random(),  # noqa: S311  jitter is no secret
        )
        if isinstance(decision, Again):
            metrics.RETRIES.inc()
            work.spent += decision.delay
            again = partial(self._again, work, failure.origin)
            asyncio.get_running_loop().call_later(decision.delay, again)
        else:
            self._spawn(self._completions.give_up(work, decision))

    def _again(self, work: Work, origin: str | None) -> None:
        """Put an item back that has waited; while its origin is down, behind the others of it."""
        if origin is not None and self._breakers.is_open(origin):
            self._paused.hold(origin, work)
        else:
            self._backlog.put_first(work)

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        """Commit, or build the failed set again whenever Redis has lost it."""
        while True:
            await asyncio.sleep(COMMIT_EVERY)
            try:
                await work()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._acknowledging.add(task)
        task.add_done_callback(self._acknowledging.discard)

    async def _report(self) -> None:
        while True:
            if (message := self._breakers.message) is not None:
                self._troubles.say("ApiUnavailable", message)
            if (trouble := self._routes.trouble) is not None:
                self._troubles.say(*trouble)
            metrics.IN_FLIGHT.set(self._in_flight)
            self._context.report(self._state(time.monotonic()))
            await asyncio.sleep(1)

    def _state(self, now: float) -> ProcessState:
        return ProcessState(
            process=self._context.index,
            ready=self._intake.joined,
            trouble=self._troubles.current(),
            assigned=self._intake.assigned,
            in_flight=self._in_flight,
            done=self._completions.total,
            failed=self._completions.failed,
            rate=self._completions.meter.rate(now),
            latency=self._latency.mean(now),
            message_bytes=self._completions.bytes.mean(now),
        )


async def run(context: ProcessContext) -> None:
    """Run a fetcher in a child process of the pod."""
    settings = FetcherSettings.read(context.folder, "fetcher")
    await Fetcher(settings, context).run()
