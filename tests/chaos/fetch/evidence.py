"""Reads what there is at the end: the topics, the failed set, the API's log."""

import json
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from chaos.evidence import read
from chaos.fetch.api import LOG
from chaos.fetch.connections import ALL
from chaos.fetch.invariants import Evidence, Message, Request
from chaos.fetch.items import Item
from chaos.fetch.job import BURST, CAP, GENERATION, LIMIT, PARTITIONS, TOTAL, Job
from chaos.producer import Load
from sluice_workers import failed_set
from sluice_workers.dead_topic import Standing, read_event

Spans = Sequence[tuple[float, float]]


async def collect(
    job: Job,
    redis_url: str,
    load: Load[Item],
    commits: Sequence[tuple[float, int, int]],
    connections: dict[str, int],
    hurt: Spans,
    held_up: Spans,
) -> Evidence:
    """Return all that is known.

    Raises ``RuntimeError`` when the topic is not what was produced: then nothing can be judged.
    """
    items, records, dead = [
        await read(job.connection, job.topic(suffix).name, PARTITIONS)
        for suffix in ("items", "records", "dead")
    ]
    messages = [_message(each, load) for each in items]
    missing = load.acknowledged - {message.item.id for message in messages}
    if missing:
        raise RuntimeError(f"the broker lost {len(missing)} acknowledged items: {missing}")
    standing = Standing()
    for each in dead:
        if (event := read_event(each)) is not None:
            standing.add(event)
    given_up = [json.loads(json.loads(each.value)["value"]) for each in dead if each.value]
    return Evidence(
        messages=messages,
        requests=_requests(),
        fetched={json.loads(each.value)["number"] for each in records},
        dead={each["number"] for each in given_up},
        dead_keys=frozenset(standing.ranks()),
        failed_keys=await _failed(job, redis_url),
        offsets={partition: offset for _, partition, offset in commits},
        commits=commits,
        hurt=hurt,
        held_up=held_up,
        limit=LIMIT,
        burst=BURST,
        connections=connections,
        caps=dict.fromkeys(connections, CAP) | {ALL: TOTAL},
    )


def _message(found: Any, load: Load[Item]) -> Message:
    number = str(json.loads(found.value)["number"])
    return Message(found.partition, found.offset, load.produced[number])


def _requests() -> list[Request]:
    lines = [line.split() for line in LOG.read_text().splitlines()]
    return sorted(
        (Request(float(at), int(number), int(status)) for at, number, status in lines),
        key=lambda each: each.at,
    )


async def _failed(job: Job, redis_url: str) -> frozenset[str] | None:
    async with Redis.from_url(redis_url) as redis:
        found: dict[Any, Any] = await redis.hgetall(failed_set.redis_key(job.names, GENERATION))
    if found.pop(failed_set.STATE.encode(), None) != failed_set.COMPLETE:
        return None
    return frozenset(key.decode() for key in found)
