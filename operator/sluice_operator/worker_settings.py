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


def settings(job: Job, wanted: Wanted) -> dict[str, BaseModel]:
    """Return the configuration of each role."""
    base = {"namespace": job.name.namespace, "name": job.name.name, "uid": job.uid}
    source, sink, codec = job.spec.source, job.spec.sink.postgres, job.spec.topics.compression
    given, run, records = job.spec.sink.archive, wanted.run, wanted.records
    found: dict[str, BaseModel] = {
        "migrate": MigrateSettings(**base, sink=sink),
        "writer": WriterSettings(
            **base,
            records=records,
            dead=wanted.dead,
            compression=codec,
            # Writers have nothing to do with how the table came to be: a change rolls none.
            sink=sink.model_copy(update={"migrations": Migrations()}),
            batch=job.spec.batch,
        ),
    }
    if given is not None:
        ends = job.spec.mode is Mode.ONCE
        found["archiver"] = ArchiverSettings(
            **base, run=run, records=records, archive=given, ends=ends
        )
    if source.archive is not None:
        replayed = source.archive
        found["replay"] = ReplaySettings(
            **base, archive=replayed, records=records, compression=codec
        )
        return found
    if source.items is not None:
        found["seed"] = SeedSettings(
            **base, run=run, items=source.items, topic=wanted.items, compression=codec
        )
    found["fetcher"] = FetcherSettings(
        **base,
        items=wanted.items,
        records=records,
        dead=wanted.dead,
        compression=codec,
        http=source.http,
        handler=source.handler,
        proxies=source.proxies,
        max_connections=source.max_connections,
        allowed_addresses=wanted.allowed_addresses,
        retry=source.retry,
        circuit_breaker=source.circuit_breaker,
        rate_limit=source.rate_limit,
        processes=job.spec.fetcher.processes,
        concurrency=job.spec.fetcher.concurrency,
        window=job.spec.fetcher.window,
    )
    if (wish := job.spec.redrive) is not None:
        found["put-back"] = RedriveSettings(
            **base,
            id=wish.id,
            reasons=wish.reasons,
            keys=wish.keys,
            dry_run=wish.dry_run,
            items=wanted.items,
            dead=wanted.dead,
            compression=codec,
            external=source.items_topic is not None,
        )
    return found


def texts(job: Job, wanted: Wanted) -> dict[str, str]:
    """Return the configuration of each role as JSON, the same for the same values."""
    return {role: _json(model) for role, model in settings(job, wanted).items()}


def digest(job: Job, wanted: Wanted, role: str) -> str:
    """Return what changes when a role's pods must be made anew."""
    text = _json(settings(job, wanted)[role]) + wanted.kafka_secret + wanted.redis_secret
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _json(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json", by_alias=True), sort_keys=True)
