"""Items that are through: what becomes of them is acknowledged before their offsets may pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sluice_api.errors import DependencyError, RecordTooLargeError
from sluice_workers.failures import Failures
from sluice_workers.fetch import metrics
from sluice_workers.fetch.outcome import Failure, Fetched, GivenUp, size_of
from sluice_workers.fetch.output import dead_item, record_messages
from sluice_workers.fetch.partition import Work
from sluice_workers.fetch.recoveries import Recoveries
from sluice_workers.fetch.unsent import Unsent
from sluice_workers.meter import Meter
from sluice_workers.producer import Producer
from sluice_workers.settings import Topic
from sluice_workers.trouble import PAUSE, Troubles
from sluice_workers.wire import FailureReason


class Completions:
    """Records into their topic, failures into theirs; tried until the broker has them."""

    def __init__(
        self,
        producer: Producer,
        records: Topic,
        failures: Failures,
        recoveries: Recoveries,
        troubles: Troubles,
        done: Callable[[Work], None],
    ) -> None:
        """``done`` is told of every item that is through."""
        self.total = self.failed = 0
        """Items that are through, and those among them that were given up."""
        self.meter, self.bytes = Meter(time.monotonic()), Meter(time.monotonic())
        """Items, and records with their bytes."""
        self.unsent = Unsent()
        """Records that the broker has not taken yet."""
        self._producer = producer
        self._records = records
        self._failures = failures
        self._recoveries = recoveries
        self._troubles = troubles
        self._is_done = done

    async def succeed(self, work: Work, fetched: Fetched) -> None:
        """Produce the records, until the broker has them; give up what it does not take."""
        topic = self._records.name
        messages = record_messages(work.item, fetched, self._records)
        with self.unsent.holding(size_of(fetched.records)):
            try:
                await self._until_done(lambda: self._producer.send(topic, messages))
            except RecordTooLargeError as error:
                failure = Failure(FailureReason.RECORD_TOO_LARGE, str(error))
                await self.give_up(work, GivenUp(failure, work.attempts + 1))
                return
        count = len(fetched.records)
        metrics.RECORDS.inc(count)
        self.bytes.add(time.monotonic(), count, sum(map(len, fetched.records)))
        self._recoveries.note(work.item)
        metrics.counted(metrics.ITEMS, "fetched").inc()
        self._finish(work)

    async def give_up(self, work: Work, given_up: GivenUp) -> None:
        """Put the item into the dead topic and the failed set, until both have it."""
        dead = dead_item(work.item, given_up, datetime.now(UTC))
        headers = work.item.headers
        await self._until_done(lambda: self._failures.give_up([dead], headers))
        self.failed += 1
        metrics.ITEMS.labels("given_up").inc()
        self._finish(work)

    async def _until_done(self, attempt: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await attempt()
            except DependencyError as error:
                self._troubles.say(error.reason, str(error))
                await asyncio.sleep(PAUSE)
            else:
                return

    def _finish(self, work: Work) -> None:
        self.total += 1
        self.meter.add(time.monotonic())
        self._is_done(work)
