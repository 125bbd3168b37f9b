"""The fetcher: items in, requests in flight, records out.

A fixed number of slots takes items whose turn has come. A slot is held for one request, never for a
wait: an item that is to be tried again waits on a timer, one that is to be acknowledged in a task.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.http import Http, Version
from sluice_workers import failures, kafka
from sluice_workers.failures import Failures
from sluice_workers.fetch import metrics, retry
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.backlog import Backlog
from sluice_workers.fetch.breaker import Breaker, blames_api
from sluice_workers.fetch.done import DoneSets
from sluice_workers.fetch.handler import HandlerApi
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.credentials import Credentials, Static
from sluice_workers.fetch.http.oauth2 import ClientCredentials
from sluice_workers.fetch.intake import Intake
from sluice_workers.fetch.leased_routes import Bounds, LeasedRoutes
from sluice_workers.fetch.outcome import Again, Failure, Fetched, GivenUp
from sluice_workers.fetch.output import dead_item, record_messages
from sluice_workers.fetch.partition import Work
from sluice_workers.fetch.permits import Permits
from sluice_workers.fetch.rate_limit import Limiter, TokenBucket, Unlimited
from sluice_workers.fetch.recoveries import Recoveries
from sluice_workers.fetch.routes import Direct, Route, Routes
from sluice_workers.meter import Meter
from sluice_workers.producer import Producer
from sluice_workers.runtime import ProcessContext
from sluice_workers.runtime.cancel import cancel
from sluice_workers.settings import FetcherSettings, KafkaConnection, read_secret, read_text
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
        self._breaker = Breaker(settings.circuit_breaker)
        self._addresses = Addresses(settings.allowed_addresses)
        self._completions: set[asyncio.Task[None]] = set()
        """What waits for the broker's and Redis's acknowledgements."""
        self._troubles = Troubles()
        now = time.monotonic()
        self._done, self._latency, self._bytes = Meter(now), Meter(now), Meter(now)
        self._total = self._failed = self._in_flight = 0

    async def run(self) -> None:
        """Fetch until told to stop; what fails outside is tried again for ever."""
        settings, folder = self._settings, self._context.folder
        connection = KafkaConnection.read(folder)
        redis = failures.connect(read_text(folder / "redis" / "url").strip())
        self._producer = Producer(connection, settings.compression)
        self._failures = Failures(redis, self._producer, settings.dead, settings.job)
        self._recoveries = Recoveries(self._failures)
        self._limiter = self._limit(redis)
        self._source = self._what_is_asked(folder, redis)
        self._routes = self._ways(folder, redis)
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
            self._recoveries.tell,
        )
        reporting = asyncio.create_task(self._report())
        try:
            if await self._start(consumer, connection):
                await self._work(connection)
        finally:
            reporting.cancel()
            await self._close(consumer, redis)

    def _what_is_asked(self, folder: Path, redis: Redis) -> Api | HandlerApi:
        """Return what is asked for each item. Raises ``ConfigurationError``."""
        settings = self._settings
        if settings.http is not None:
            return Api(
                settings.http,
                read_secret(folder / "headers"),
                self._credentials(settings.http, folder / "auth", redis),
                self._permission,
                self._addresses,
            )
        if settings.handler is None:
            raise ConfigurationError("fetcher.json: one of http and handler must be given")
        secrets = read_secret(folder / "handler")
        return HandlerApi(settings.handler, secrets, self._permission, self._addresses)

    def _credentials(self, http: Http, folder: Path, redis: Redis) -> Credentials | None:
        if http.auth is None:
            return None
        if http.auth.oauth2_client_credentials is None:
            return Static(http.auth, folder)
        return ClientCredentials(http.auth, folder, redis, self._settings.job, http.timeout.seconds)

    def _ways(self, folder: Path, redis: Redis) -> Routes:
        settings = self._settings
        proxies = settings.proxies
        http2 = settings.http is not None and settings.http.version is Version.HTTP_2
        if proxies is None and settings.max_connections is None:
            return Direct(settings.concurrency, self._addresses, http2=http2)
        file = folder / "proxies" / proxies.secret_ref.key if proxies else None
        bounds = Bounds(proxies, file, settings.max_connections, http2)
        shared = proxies.shared if proxies else None
        key = f"sluice:{{shared/{shared}}}:permits" if shared else settings.job.redis_key("permits")
        permits = Permits(redis, key, uuid.uuid4().hex)
        return LeasedRoutes(bounds, permits, self._addresses, self._troubles.say)

    def _limit(self, redis: Redis) -> Limiter:
        limit = self._settings.rate_limit
        if limit is None:
            return Unlimited()
        return TokenBucket(redis, self._settings.job, limit, self._troubles.say)

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
            await cancel([*tasks, *self._completions])
        try:
            await self._intake.commit()
        except DependencyError as error:
            _LOG.info("the last offsets were not committed: %s", error)

    async def _drain(self) -> None:
        """Wait for what is in flight, and for its acknowledgements; slots start nothing more."""
        deadline = time.monotonic() + DRAIN
        while (self._in_flight or self._completions) and time.monotonic() < deadline:
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
            await self._rest()  # before the way is taken: a rest holds no connection
            route = await self._routes.take(waiting.item.key)
            started, failure = time.monotonic(), None
            try:
                await self._permission()
                # Its partition may have gone meanwhile: the permission then serves the next item.
                work = self._backlog.get_nowait() if waiting.partition.lost else waiting
                if work is None or self._context.stopping.is_set():
                    continue
                started = time.monotonic()
                failure = await self._attempt(work, route)
            finally:
                self._routes.give_back(route, failure, started)

    async def _attempt(self, work: Work, route: Route) -> Failure | None:
        """Ask once; return how it failed, if it did."""
        started = time.monotonic()
        self._in_flight += 1
        metrics.IN_FLIGHT.inc()
        try:
            outcome = await self._source.ask(work.item, route)
        finally:
            metrics.IN_FLIGHT.dec()
            self._in_flight -= 1
        ended = time.monotonic()
        metrics.LATENCY.observe(ended - started)
        self._latency.add(ended, 1, ended - started)
        if isinstance(outcome, Fetched):
            metrics.ATTEMPTS.labels("fetched").inc()
            self._breaker.answered()
            self._spawn(self._succeed(work, outcome))
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
        if not blames_api(failure):
            self._breaker.answered()
        elif not self._breaker.failed(started, ended, failure.message):
            self._backlog.put_first(work)
            return
        work.attempts += not failure.rate_limited
        work.refusals += failure.rate_limited
        work.spent += ended - started
        self._fail(work, failure)

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
            while wait := self._breaker.wait(time.monotonic()):
                await asyncio.sleep(min(wait, PAUSE))
            try:
                with metrics.TOKEN_WAIT.time():
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
            # While the API is down each try goes to another item, lest one pays for all.
            put = self._backlog.put if self._breaker.is_open else self._backlog.put_first
            asyncio.get_running_loop().call_later(decision.delay, put, work)
        else:
            self._spawn(self._give_up(work, decision))

    async def _succeed(self, work: Work, fetched: Fetched) -> None:
        """Produce the records, until the broker has them."""
        topic = self._settings.records
        messages = record_messages(work.item, fetched, topic)
        await self._until_done(lambda: self._producer.send(topic.name, messages))
        metrics.RECORDS.inc(len(fetched.records))
        now = time.monotonic()
        self._bytes.add(now, len(fetched.records), sum(map(len, fetched.records)))
        self._recoveries.note(work.item)
        self._finish(work, "fetched")

    async def _give_up(self, work: Work, given_up: GivenUp) -> None:
        """Put the item into the dead topic and the failed set, until both have it."""
        dead = dead_item(work.item, given_up, datetime.now(UTC))
        headers = work.item.headers
        await self._until_done(lambda: self._failures.give_up([dead], headers))
        self._failed += 1
        self._finish(work, "given_up")

    async def _until_done(self, attempt: Any) -> None:
        while True:
            try:
                await attempt()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await asyncio.sleep(PAUSE)
            else:
                return

    def _finish(self, work: Work, outcome: str) -> None:
        metrics.ITEMS.labels(outcome).inc()
        self._total += 1
        self._done.add(time.monotonic())
        self._intake.finish(work)

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
        self._completions.add(task)
        task.add_done_callback(self._completions.discard)

    async def _report(self) -> None:
        while True:
            if self._breaker.is_open:
                self._troubles.say("ApiUnavailable", self._breaker.message)
            if (trouble := self._routes.trouble) is not None:
                self._troubles.say(*trouble)
            self._context.report(self._state(time.monotonic()))
            await asyncio.sleep(1)

    def _state(self, now: float) -> ProcessState:
        return ProcessState(
            process=self._context.index,
            ready=self._intake.joined,
            trouble=self._troubles.current(),
            assigned=self._intake.assigned,
            in_flight=self._in_flight,
            done=self._total,
            failed=self._failed,
            rate=self._done.rate(now),
            latency=self._latency.mean(now),
            message_bytes=self._bytes.mean(now),
        )


async def run(context: ProcessContext) -> None:
    """Run a fetcher in a child process of the pod."""
    settings = FetcherSettings.read(context.folder, "fetcher")
    await Fetcher(settings, context).run()
