"""What was given up: kept, found again after Redis lost it, and put back once."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from integration.fetch.servers import own_redis
from integration.fetch.world import (
    GENERATION,
    MakeWorld,
    Server,
    World,
    dead_items,
    fetcher,
    keys,
    numbers,
)
from integration.processes import write_folder
from sluice_api.errors import DependencyError
from sluice_workers import wire
from sluice_workers.failed_set import COMPLETE, STATE, FailedSet
from sluice_workers.failures import Failures
from sluice_workers.producer import Message, Producer
from sluice_workers.redrive import redrive as module
from sluice_workers.redrive.redrive import redrive
from sluice_workers.settings import RedriveSettings
from sluice_workers.trouble import PAUSE

BROKEN: set[str] = set()


async def answer(key: str, _attempt: int) -> web.StreamResponse:
    if key in BROKEN:
        status = 404 if int(key) % 2 else 410
        headers = {"X-Request-Id": f"r-{key}", "Set-Cookie": "secret=1"}
        return web.Response(status=status, headers=headers)
    return web.json_response({"id": key})


@pytest.fixture
async def world(make_world: MakeWorld, server: Server) -> World:
    """A job whose items fail as long as they are among BROKEN."""
    BROKEN.clear()
    server.answer = answer
    return await make_world(processes=1)


async def give_up(world: World, *broken: str, others: tuple[str, ...] = ()) -> None:
    """Have a fetcher give items up."""
    BROKEN.update(broken)
    before = await world.committed()
    await world.seed(*broken, *others)
    async with fetcher(world):
        await world.wait_committed(before + len(broken) + len(others))
    assert await world.failed() >= set(broken)


def ask(world: World, number: str, **choice: Any) -> None:
    settings = RedriveSettings(
        namespace=world.job.namespace,
        name=world.job.name,
        uid="u",
        id=number,
        items=world.settings.items,
        dead=world.settings.dead,
        compression=world.settings.compression,
        **choice,
    )
    write_folder(world.folder, {"settings/put-back.json": settings.model_dump_json(by_alias=True)})


async def put_back(world: World) -> Counter[str]:
    """How often each key is in the items topic beyond its seed."""
    found = await world.read(world.settings.items)
    return keys([message for message in found if wire.header(message.headers, wire.REDRIVE)])


@asynccontextmanager
async def started(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "sluice_cli", "put-back", "--folder", str(world.folder)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_dead_item_tells_what_happened(world: World) -> None:
    BROKEN.add("1")
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers)
    await producer.start()
    own = [("traceparent", b"00-ab"), ("raw", b"\xff")]
    await producer.send_and_wait(world.settings.items.name, b'{"a": 1}', key=b"1", headers=own)
    await producer.stop()
    async with fetcher(world):
        await world.wait_committed(1)
    (message,) = await world.read(world.settings.dead)
    (dead,) = dead_items([message])
    assert (dead.reason, dead.status, dead.attempts) == ("HttpStatus", 404, 1)
    assert dead.headers["x-request-id"] == "r-1"
    assert "date" in dead.headers
    assert "set-cookie" not in dead.headers
    assert (dead.value, dead.whole) == ('{"a": 1}', True)
    assert dead.version == wire.record_version(GENERATION, 0)
    headers = dict(message.headers)
    assert headers.items() >= dict(own).items()
    assert headers[wire.REASON] == b"HttpStatus"
    assert headers[wire.ITEM].decode() == dead.item == f"{GENERATION}-{message.partition}-0"


async def test_while_redis_is_away_the_dead_topic_gets_an_item_once(world: World) -> None:
    BROKEN.add("1")
    with own_redis() as own:
        write_folder(world.folder, {"redis/url": own.url})
        redis = Redis.from_url(own.url)
        async with fetcher(world):
            await joined(world)
            own.kill()
            await world.seed("1")
            async with asyncio.timeout(30):
                while not await world.read(world.settings.dead):
                    await asyncio.sleep(0.2)
            await asyncio.sleep(3 * PAUSE)
            own.start()
            await world.wait_committed(2)
            assert set(await redis.hkeys(world.failed_key)) == {b"1", STATE.encode()}
        await redis.aclose()
    assert keys(await world.read(world.settings.dead)) == {"1": 1}


async def joined(world: World) -> None:
    """Wait until the group has passed an item that is well."""
    await world.seed("0")
    await world.wait_committed(1)


async def test_a_lost_failed_set_is_built_again_without_what_succeeded_since(world: World) -> None:
    await give_up(world, "1", "2", "3")
    BROKEN.discard("2")
    redis = Redis.from_url(world.redis_url)
    async with fetcher(world):
        await world.seed("2")
        await world.wait_committed(4)
        assert await world.failed() == {"1", "3"}
        await redis.delete(world.failed_key)
        BROKEN.discard("3")
        await world.seed("3")  # succeeds while the set is lost
        await world.wait_committed(5)
        assert await world.failed() == {"1"}
    await redis.delete(world.failed_key)
    async with fetcher(world):
        async with asyncio.timeout(20):
            while await redis.hget(world.failed_key, STATE) != COMPLETE:
                await asyncio.sleep(0.1)
        assert await world.failed() == {"1"}
    await redis.aclose()


async def test_what_was_given_up_goes_back_once_and_its_success_takes_it_out(
    world: World, server: Server
) -> None:
    broken = numbers(20)
    await give_up(world, *broken, others=tuple(numbers(100)[20:]))
    BROKEN.clear()
    ask(world, "dry", dry_run=True)
    assert (await redrive(world.folder)).items == 20
    assert await put_back(world) == Counter()
    ask(world, "one", keys=("3", "7", "not given up"))
    assert (await redrive(world.folder)).items == 2
    assert await put_back(world) == Counter({"3": 1, "7": 1})
    ask(world, "timeouts", reasons=("Timeout",))
    assert (await redrive(world.folder)).items == 0
    ask(world, "all", reasons=("HttpStatus",))
    assert (await redrive(world.folder)).items == 18
    ask(world, "again")
    assert (await redrive(world.folder)).items == 0
    assert await put_back(world) == Counter(dict.fromkeys(broken, 1))
    async with fetcher(world):
        await world.wait_drained()
        assert await world.failed() == set()
    assert keys(await world.read(world.settings.records)) == Counter(numbers(100))
    ids = [wire.header(m.headers, wire.ITEM) for m in await world.read(world.settings.records)]
    assert len(set(ids)) == 100
    assert server.asked["3"] == 2


async def test_an_item_that_fails_again_can_be_put_back_again(world: World) -> None:
    await give_up(world, "1")
    for number in (1, 2):
        ask(world, f"try-{number}")
        assert (await redrive(world.folder)).items == 1
        async with fetcher(world):
            await world.wait_drained()
        assert await world.failed() == {"1"}
    assert len(dead_items(await world.read(world.settings.dead))) == 3


async def test_two_redrives_at_once_put_each_item_back_once(world: World) -> None:
    broken = numbers(3000)
    await give_up(world, *broken)
    ask(world, "both")
    async with started(world) as one, started(world) as other:
        await asyncio.gather(one.communicate(), other.communicate())
    if 0 not in {one.returncode, other.returncode}:
        ask(world, "rest")
        await redrive(world.folder)
    assert await put_back(world) == Counter(dict.fromkeys(broken, 1))


async def test_a_redrive_that_is_fenced_in_its_middle_leaves_the_rest_to_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has an open transaction when the second begins."""
    broken = numbers(200)
    await give_up(world, *broken)
    ask(world, "both")
    middle, go_on = asyncio.Event(), asyncio.Event()
    send, sent = module.Redrive._send, 0  # noqa: SLF001

    async def slow(self: module.Redrive, *arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == 31:
            middle.set()
            await go_on.wait()
        return await send(self, *arguments)

    monkeypatch.setattr(module.Redrive, "_send", slow)
    monkeypatch.setattr(module, "CHUNK", 10)
    first = asyncio.create_task(redrive(world.folder))
    await middle.wait()
    monkeypatch.setattr(module.Redrive, "_send", send)
    assert (await redrive(world.folder)).items == 200
    go_on.set()
    with pytest.raises(DependencyError, match="another redrive of the job began"):
        await first
    assert await put_back(world) == Counter(dict.fromkeys(broken, 1))


async def test_a_redrive_killed_in_its_middle_is_finished_by_the_next(world: World) -> None:
    broken = numbers(3000)
    await give_up(world, *broken)
    ask(world, "killed")
    before = 0
    for _ in range(2):
        async with started(world) as process:
            assert process.stderr is not None
            while b"items put back" not in (line := await process.stderr.readline()):
                assert line, "it was over before it could be killed"
            process.send_signal(signal.SIGKILL)
            await process.wait()
        found = await put_back(world)
        assert before < len(found) < 3000
        assert max(found.values()) == 1
        before = len(found)
    assert (await redrive(world.folder)).items == 3000
    assert await put_back(world) == Counter(dict.fromkeys(broken, 1))
    BROKEN.clear()
    async with fetcher(world):
        await world.wait_drained(120)
        assert await world.failed() == set()
    assert keys(await world.read(world.settings.records)) == Counter(broken)


async def test_what_is_given_up_while_redis_is_away_is_in_the_dead_topic_once(
    world: World,
) -> None:
    producer = Producer(world.kafka, world.settings.compression)
    dead = [
        wire.DeadItem(
            key=key,
            item=f"run/{key}",
            version=number,
            reason=wire.FailureReason.TIMEOUT,
            message="no answer",
            failed_at=datetime.now(UTC),
        )
        for number, key in enumerate("abc")
    ]
    with own_redis() as server:
        redis = Redis.from_url(server.url)
        failures = Failures(redis, producer, world.settings.dead, world.job)
        server.kill()
        for some in (dead[:2], dead[:2], dead):
            with pytest.raises(DependencyError, match="the failed set"):
                await failures.give_up(some)
        server.start()
        await failures.give_up(dead)
        await failures.give_up(dead[:1])  # it came again, and failed again
        failed = FailedSet(redis, world.job, GENERATION)
        assert await failed.among(list("abcd")) is None, "this Redis never had the whole set"
        assert (building := await failed.begin()) is not None
        assert await failed.rebuild(building, {})
        assert await failed.among(list("abcd")) == set("abc")
        await redis.aclose()
    found = dead_items(await world.read(world.settings.dead))
    assert Counter(each.key for each in found) == {"a": 2, "b": 1, "c": 1}
    await producer.close()


async def test_an_item_whose_record_was_refused_goes_back_as_it_came(world: World) -> None:
    producer = Producer(world.kafka, world.settings.compression)
    value, own = b'{"customer": 7}', ("traceparent", b"00-ab")
    await producer.send(world.settings.items.name, [Message(b"9", value, (own,))])
    redis = Redis.from_url(world.redis_url)
    failures = Failures(redis, producer, world.settings.dead, world.job)
    (item,) = await world.read(world.settings.items)
    async with fetcher(world):
        await world.wait_committed(1)
    (record,) = await world.read(world.settings.records)
    refused = wire.DeadItem(
        key="9",
        item=wire.header(record.headers, wire.ITEM) or "",
        version=int(wire.header(record.headers, wire.VERSION) or 0),
        ordinal=0,
        reason=wire.FailureReason.INVALID_RECORD,
        message="column id must not be null",
        failed_at=datetime.now(UTC),
        value='{"id": null}',
        whole=False,
    )
    await failures.give_up([refused])
    ask(world, "refused")
    assert (await redrive(world.folder)).items == 1
    _, again = sorted(await world.read(world.settings.items), key=lambda each: each.offset)
    assert (again.key, again.value, again.partition) == (b"9", value, item.partition)
    assert own in again.headers
    assert json.loads(again.value) == {"customer": 7}
    assert await world.failed() == {"9"}
    async with fetcher(world):
        await world.wait_drained()
    assert await world.failed() == set()
    await producer.close()
    await redis.aclose()
