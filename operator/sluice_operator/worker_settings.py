"""What the workers of a job are told: each role's settings. Pure functions of spec and status."""

import hashlib
import json
from dataclasses import dataclass

from pydantic import BaseModel

from sluice_api.sink import Migrations
from sluice_api.source import Mode
from sluice_operator.observed import Job
from sluice_workers.settings import (
    ArchiverSettings,
    FetcherSettings,
    KafkaConnection,
    MigrateSettings,
    RedriveSettings,
    ReplaySettings,
    SeedSettings,
    Topic,
    WriterSettings,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the pods are rendered from besides the job itself."""

    image: str
    items: Topic
    records: Topic
    dead: Topic
    run: str
    kafka_secret: str
    redis_secret: str
    allowed_addresses: tuple[str, ...] = ()
    """Networks that requests may go to although they are loopback or link-local."""
    kafka_mark: str = ""
    """What changes when the broker's Secret does: processes read it once, at their start."""


def settings(job: Job, wanted: Wanted) -> dict[str, BaseModel]:
    """Return the configuration of each role that the job has."""
    found: dict[str, BaseModel | None] = {
        "migrate": MigrateSettings(**_base(job), sink=job.spec.sink.postgres),
        "writer": _writer(job, wanted),
        "archiver": _archiver(job, wanted),
        "replay": _replay(job, wanted),
        "seed": _seed(job, wanted),
        "fetcher": _fetcher(job, wanted),
        "put-back": _put_back(job, wanted),
    }
    return {role: model for role, model in found.items() if model is not None}


def _base(job: Job) -> dict[str, str]:
    return {"namespace": job.name.namespace, "name": job.name.name, "uid": job.uid}


def _writer(job: Job, wanted: Wanted) -> WriterSettings:
    return WriterSettings(
        **_base(job),
        records=wanted.records,
        partitions=job.spec.topics.partitions,
        dead=wanted.dead,
        compression=job.spec.topics.compression,
        # Writers have nothing to do with how the table came to be: a change rolls none.
        sink=job.spec.sink.postgres.model_copy(update={"migrations": Migrations()}),
        batch=job.spec.batch,
    )


def _archiver(job: Job, wanted: Wanted) -> ArchiverSettings | None:
    if (given := job.spec.sink.archive) is None:
        return None
    ends = job.spec.mode is Mode.ONCE
    return ArchiverSettings(
        **_base(job), run=wanted.run, records=wanted.records, archive=given, ends=ends
    )


def _replay(job: Job, wanted: Wanted) -> ReplaySettings | None:
    if (given := job.spec.source.archive) is None:
        return None
    codec = job.spec.topics.compression
    return ReplaySettings(**_base(job), archive=given, records=wanted.records, compression=codec)


def _seed(job: Job, wanted: Wanted) -> SeedSettings | None:
    if (given := job.spec.source.items) is None:
        return None
    return SeedSettings(
        **_base(job),
        run=wanted.run,
        items=given,
        topic=wanted.items,
        compression=job.spec.topics.compression,
    )


def _fetcher(job: Job, wanted: Wanted) -> FetcherSettings | None:
    source, fetcher = job.spec.source, job.spec.fetcher
    if source.archive is not None:
        return None
    return FetcherSettings(
        **_base(job),
        items=wanted.items,
        records=wanted.records,
        dead=wanted.dead,
        compression=job.spec.topics.compression,
        http=source.http,
        handler=source.handler,
        proxies=source.proxies,
        max_connections=source.max_connections,
        allowed_addresses=wanted.allowed_addresses,
        retry=source.retry,
        circuit_breaker=source.circuit_breaker,
        rate_limit=source.rate_limit,
        processes=fetcher.processes,
        concurrency=fetcher.concurrency,
        window=fetcher.window,
    )


def _put_back(job: Job, wanted: Wanted) -> RedriveSettings | None:
    wish, source = job.spec.redrive, job.spec.source
    if wish is None or source.archive is not None:
        return None
    return RedriveSettings(
        **_base(job),
        id=wish.id,
        reasons=wish.reasons,
        keys=wish.keys,
        dry_run=wish.dry_run,
        items=wanted.items,
        dead=wanted.dead,
        compression=job.spec.topics.compression,
        external=source.items_topic is not None,
    )


def texts(job: Job, wanted: Wanted) -> dict[str, str]:
    """Return the configuration of each role as JSON, the same for the same values."""
    return {role: _json(model) for role, model in settings(job, wanted).items()}


def digest(job: Job, wanted: Wanted, role: str) -> str:
    """Return what changes when a role's pods must be made anew."""
    text = _json(settings(job, wanted)[role]) + wanted.kafka_secret + wanted.redis_secret
    if role != "migrate":  # it asks the database alone
        text += wanted.kafka_mark
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def mark(kafka: KafkaConnection) -> str:
    """Return sixteen bits that differ for another connection, and are of no use for guessing it."""
    return hashlib.sha256(kafka.model_dump_json().encode()).hexdigest()[:4]


def _json(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json", by_alias=True), sort_keys=True)
