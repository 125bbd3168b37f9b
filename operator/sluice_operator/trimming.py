"""Trims a job's topics, and forgets the ids of records that can never come again."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from sluice_api.errors import DependencyError, SluiceError
from sluice_api.names import JobName
from sluice_api.sink import RecordIds
from sluice_api.status import TopicsStatus
from sluice_operator import redis_client, retention, sink
from sluice_operator.broker import Broker
from sluice_operator.kube import Kubernetes
from sluice_operator.observe import Observer
from sluice_operator.observed import Job, Observation, TopicOffsets
from sluice_workers.failed_set import FailedSet
from sluice_workers.state import Trouble

EVERY: Final = 30.0
"""Seconds between two looks at what of a job is too old."""
PRUNE_EVERY: Final = 600.0
"""Seconds between two searches for record ids that may go. Each reads all ids that stay, for an
index by offset would cost every row that is written."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Last:
    """What the last look at a job came to."""

    topics: TopicsStatus
    """The topics that it was about: in one that was made anew, offsets are others."""
    at: float = -EVERY
    troubles: tuple[Trouble, ...] = ()
    checkpoint: retention.Checkpoint | None = None
    """Where writers must come before the items of that time may go."""
    pruned_at: float | None = None
    """When record ids were searched for those that may go."""


class Trimming:
    """Carries out ``topics.retention``; one look at a job at a time."""

    def __init__(self, kubernetes: Kubernetes, observer: Observer) -> None:
        self._kubernetes = kubernetes
        self._observer = observer
        self._last: dict[JobName, _Last] = {}

    def forget(self, job: JobName) -> None:
        """Forget a job that is gone."""
        self._last.pop(job, None)

    async def look(self, job: Job, seen: Observation) -> tuple[Trouble, ...]:
        """Trim what is too old, unless that was done just now; return what hinders it."""
        kept = job.spec.topics.retention
        if kept is None or seen.kafka is None or seen.partitions is None:
            return ()
        last = self._last.get(job.name)
        if last is None or last.topics != job.status.topics:
            last = _Last(job.status.topics)
        if time.monotonic() - last.at < EVERY:
            return last.troubles
        broker = self._observer.broker(seen.kafka)
        limit = seen.now - timedelta(seconds=kept.seconds)
        trimming = _Pass(self._kubernetes, broker, job, seen, limit)
        trimming.checkpoint = last.checkpoint
        troubles: tuple[Trouble, ...] = ()
        pruned_at = last.pruned_at
        try:
            if await trimming.run() and _due(pruned_at):
                pruned_at = time.monotonic()
                await trimming.prune()
        except (SluiceError, OSError, TimeoutError, asyncpg.PostgresError) as error:
            reason = error.reason if isinstance(error, DependencyError) else "TrimmingFailed"
            troubles = (Trouble(reason=reason, message=f"topics are not trimmed: {error}"),)
        self._last[job.name] = _Last(
            last.topics, time.monotonic(), troubles, trimming.checkpoint, pruned_at
        )
        return troubles


def _due(pruned_at: float | None) -> bool:
    return pruned_at is None or time.monotonic() - pruned_at >= PRUNE_EVERY


class _Pass:
    """One pass over the topics of a job.

    Its methods raise ``SluiceError``, and what asyncpg does.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        broker: Broker,
        job: Job,
        seen: Observation,
        limit: datetime,
    ) -> None:
        self._kubernetes, self._broker = kubernetes, broker
        self._job, self._seen = job, seen
        self._limit = limit
        self.checkpoint: retention.Checkpoint | None = None
        self._database: sink.Database | None = None
        self._starts: tuple[int, ...] = ()
        """Where the partitions of the records topic start now."""

    async def run(self) -> bool:
        """Trim items, then records; return whether ids of the records that are gone may go too."""
        topics, seen = self._job.status.topics, self._seen
        settled, self._database = False, await sink.database(self._kubernetes, self._job)
        if topics.items is not None and seen.items is not None:
            settled = await self._items(topics.items.name, topics.items.generation, seen.items)
        if topics.records is not None and self._database is not None:
            await self._records(topics.records.name, topics.records.generation, self._database)
        return settled and any(self._starts) and _forgets(self._job)

    async def prune(self) -> None:
        """Delete the ids of records that are gone."""
        records = self._job.status.topics.records
        if records is not None and self._database is not None:
            await sink.prune(self._database, self._job.uid, records.generation, self._starts)

    async def _items(self, topic: str, generation: int, items: TopicOffsets) -> bool:
        """Trim the items topic, if it is ours; return whether no item of that age is left."""
        aged, starts = await self._aged(topic, items), items.starts
        owned, records = self._job.spec.source.items_topic is None, self._seen.records
        if owned and records is not None:
            written, self.checkpoint = retention.settled(self.checkpoint, items, records)
            needed = [] if written is None else [items.committed, written]
            if retention.starts(starts, aged, needed) != starts:
                needed.append(await self._refused(generation, items.ends))
                starts = retention.starts(starts, aged, needed)
                await self._trim(topic, items.starts, starts)
        return retention.forgettable(starts, aged)

    async def _records(self, topic: str, generation: int, database: sink.Database) -> None:
        readers = [each for each in self._seen.readers(self._job.spec) if each is not None]
        if len(readers) < len(self._seen.readers(self._job.spec)):
            return
        records = readers[0]
        aged = await self._aged(topic, records)
        needed: list[retention.Bounds] = [each.committed for each in readers]
        starts = retention.starts(records.starts, aged, needed)
        if starts != records.starts:
            written = await sink.written(database, self._job.uid, generation)
            needed.append([written.get(number) for number in range(len(starts))])
            starts = retention.starts(records.starts, aged, needed)
            await self._trim(topic, records.starts, starts)
        self._starts = starts

    async def _aged(self, topic: str, offsets: TopicOffsets) -> tuple[int, ...]:
        found = await self._broker.offsets_at(topic, len(offsets.ends), self._limit)
        return retention.aged(found, offsets.ends)

    async def _trim(self, topic: str, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        if changed := retention.moved(before, after):
            await self._broker.delete_records(topic, changed)
            deleted = sum(after) - sum(before)
            job = str(self._job.name)
            _LOG.info("%d old messages deleted from %s", deleted, topic, extra={"job": job})

    async def _refused(self, generation: int, ends: tuple[int, ...]) -> retention.Bounds:
        """Return the first items that a redrive needs; nothing is known without the failed set."""
        unknown: tuple[None, ...] = (None,) * len(ends)
        dead, url = self._job.status.topics.dead, self._seen.redis_url
        if dead is None or url is None:
            return unknown
        async with redis_client.connected(url) as client:
            failed = FailedSet(client, self._job.name, dead.generation)
            first = ends
            async for ranks in failed.pages():
                first = retention.refused_items(ranks, generation, first)
            # Asked last: a set that was lost meanwhile told only a part.
            return first if await failed.complete() else unknown


def _forgets(job: Job) -> bool:
    """Whether a job's record ids ever go: a replay can bring all back that was archived."""
    archived = job.spec.sink.archive is not None or job.spec.source.archive is not None
    return job.spec.sink.postgres.record_ids is RecordIds.APART and not archived
