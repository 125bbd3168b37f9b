"""The fetcher on a real broker, a real Redis and a real HTTP server, as a pod that is killed."""

import asyncio
import base64
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from integration.fetch.world import (
    GENERATION,
    PARTITIONS,
    MakeWorld,
    Server,
    fetcher,
    keys,
    numbers,
    parsed,
    told,
)
from integration.processes import free_port, kill, pod, write_folder
from sluice_api.http import Http
from sluice_api.references import SecretReference
from sluice_api.source import CircuitBreaker, Handler, RateLimit
from sluice_workers import wire
from sluice_workers.fetch.unsent import MOST

ORDERS = Path(__file__).parents[3] / "examples" / "orders"


async def test_every_item_becomes_its_record_with_identity_and_version(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    assert await world.seed(*numbers(1000)) == 1000
    async with fetcher(world):
        await world.wait_committed(1000)
    records = await world.read(world.settings.records)
    assert keys(records) == Counter(numbers(1000))
    items = {message.key: message for message in await world.read(world.settings.items)}
    for record in records:
        headers = dict(record.headers)
        item = items[record.key]
        assert record.partition == item.partition
        assert headers[wire.ITEM] == b"r-1/" + record.key
        assert int(headers[wire.VERSION]) == wire.record_version(GENERATION, item.offset)
    assert await world.failed() == set()


async def test_killed_fetchers_lose_no_item(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.seed(*numbers(6000))
    for part in (500, 2000):
        async with fetcher(world) as process:
            await world.wait_committed(part)
            await kill(process)
    async with fetcher(world):
        await world.wait_committed(6000)
    assert set(keys(await world.read(world.settings.records))) == set(numbers(6000))


async def test_what_is_done_behind_a_slow_item_is_not_done_again(
    make_world: MakeWorld, server: Server
) -> None:
    released = asyncio.Event()

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        if int(key) < PARTITIONS:
            await released.wait()
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world(http=Http(url=f"http://127.0.0.1:{server.port}/{{key}}"), processes=1)
    await world.seed(*numbers(3000))
    async with fetcher(world) as process:
        async with asyncio.timeout(60):
            while len(server.asked) < 3000:
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)  # two commits later at the least
        await kill(process)
    assert await world.committed() < 3000
    released.set()
    async with fetcher(world):
        await world.wait_committed(3000)
    repeated = {key for key, times in server.asked.items() if times > 1}
    assert repeated <= set(numbers(PARTITIONS))
    assert set(keys(await world.read(world.settings.records))) == set(numbers(3000))


async def test_a_group_that_is_moved_back_by_one_item_does_it_again(
    make_world: MakeWorld, server: Server
) -> None:
    world = await make_world(processes=1)
    for number in range(3):
        await world.seed(str(number))
        async with fetcher(world):
            await world.wait_committed(number + 1)
    last = max(await world.read(world.settings.items), key=lambda each: each.timestamp)
    await world.move_back(last.partition, last.offset)
    async with fetcher(world):
        await world.wait_committed(3)
    assert {key: times for key, times in server.asked.items() if times > 1} == {"2": 2}


async def test_pods_that_come_and_go_lose_no_item(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.seed(*numbers(5000))
    async with fetcher(world):
        await world.wait_committed(300)
        async with fetcher(world):
            await world.wait_committed(2500)
        await world.wait_committed(5000)
    found = keys(await world.read(world.settings.records))
    assert set(found) == set(numbers(5000))


async def test_failures_are_given_up_with_their_reason(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(key: str, attempt: int) -> web.StreamResponse:
        match int(key) % 10:
            case 1:
                return web.Response(status=404)
            case 2:
                return web.Response(status=500)
            case 3:
                return web.Response(text="<html>")
            case 4 if attempt < 3:
                return web.Response(status=503, headers={"Retry-After": "0"})
            case 5 if attempt < 2:
                return web.Response(status=429, headers={"Retry-After": "1"})
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world()
    await world.seed(*numbers(200))
    async with fetcher(world):
        await world.wait_committed(200)
    bad = {key for key in numbers(200) if int(key) % 10 in {1, 2, 3}}
    assert await world.failed() == bad
    assert set(keys(await world.read(world.settings.records))) == set(numbers(200)) - bad
    messages = await world.read(world.settings.dead)
    dead = {item.key: item for item in map(parsed, messages)}
    assert set(dead) == bad
    assert (dead["1"].reason, dead["1"].status, dead["1"].attempts) == ("HttpStatus", 404, 1)
    assert (dead["2"].status, dead["2"].attempts) == (500, 3)
    assert (dead["3"].reason, dead["3"].attempts) == ("MalformedAnswer", 3)
    waits = [times[1] - times[0] for key, times in server.times.items() if int(key) % 10 == 5]
    assert min(waits) >= 1.0


async def test_a_handler_of_ones_own_fetches_items(
    make_world: MakeWorld, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures = set()

    async def orders(request: web.Request) -> web.Response:
        key, page = request.match_info["key"], int(request.query["page"])
        signatures.add(request.headers["x-signature"])
        if key == "7":
            return web.Response(status=410)
        if key == "8":
            return web.json_response({"orders": [{"id": 1}]})
        found = {"id": 10 * int(key) + page, "total": page / 4, "other": "x"}
        more = {"x-next-page": str(page + 1)} if page < 3 else {}
        return web.json_response({"orders": [found]}, headers=more)

    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{ORDERS}")
    server.orders = orders
    handler = Handler(
        function="orders:fetch",
        parameters={"api": f"http://127.0.0.1:{server.port}"},
        secret_ref=SecretReference(name="orders-api"),
    )
    world = await make_world(http=None, handler=handler)
    write_folder(world.folder, {"handler/signing-key": "k"})
    await world.seed(*numbers(100))
    async with fetcher(world):
        await world.wait_committed(100)
    records = [json.loads(message.value) for message in await world.read(world.settings.records)]
    good = set(numbers(100)) - {"7", "8"}
    assert Counter(record["order_id"] for record in records) == Counter(
        10 * int(key) + page for key in good for page in (1, 2, 3)
    )
    dead = {item.key: item for item in map(parsed, await world.read(world.settings.dead))}
    assert (dead["7"].reason, dead["7"].message) == ("GivenUp", "customer 7 has left")
    assert dead["8"].reason == "HandlerError"
    assert "KeyError: 'total'" in dead["8"].message
    assert len(signatures) > 1


async def test_what_is_longer_than_a_message_may_be_is_given_up_alone(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        return web.json_response({"id": "x" * (2 << 20 if key == "1" else 900_000)})

    server.answer = answer
    http = Http(url=f"http://127.0.0.1:{server.port}/{{key}}", max_response_bytes=4 << 20)
    world = await make_world(http=http)
    await world.seed("0", "1", "2", "k" * 5000)
    async with fetcher(world):
        await world.wait_committed(4)
    assert set(keys(await world.read(world.settings.records))) == {"0", "2"}
    dead = {item.key: item for item in map(parsed, await world.read(world.settings.dead))}
    assert {key: item.reason for key, item in dead.items()} == {
        "1": wire.FailureReason.TOO_LARGE,
        "k" * 4096: wire.FailureReason.INVALID_ITEM,
    }
    assert await world.failed() == set(dead)


async def test_a_retry_blocks_nobody_but_the_next_of_its_key(
    make_world: MakeWorld, server: Server
) -> None:
    order: list[str] = []

    async def answer(key: str, attempt: int) -> web.StreamResponse:
        order.append(key)
        if key == "slow" and attempt == 1:
            return web.Response(status=503, headers={"Retry-After": "2"})
        return web.json_response({"id": key, "attempt": attempt})

    server.answer = answer
    world = await make_world(processes=1, concurrency=2)
    await world.seed("slow", *numbers(200), "slow")
    async with fetcher(world):
        await world.wait_committed(202)
    assert order.count("slow") == 3
    assert order[-2:] == ["slow", "slow"], "all others went on while the retry waited"
    slow = [m.offset for m in await world.read(world.settings.records) if m.key == b"slow"]
    assert len(slow) == 2


async def test_an_api_that_is_down_costs_no_item_its_attempts(
    make_world: MakeWorld, server: Server
) -> None:
    down_until = time.monotonic() + 12

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        if time.monotonic() < down_until:
            return web.Response(status=503)
        return web.json_response({"id": key})

    server.answer = answer
    breaker = CircuitBreaker.model_validate({"failures": 20, "pause": {"max": "2s"}})
    world = await make_world(circuit_breaker=breaker)
    await world.seed(*numbers(1000))
    async with fetcher(world):
        await world.wait_committed(1000)
    assert await world.failed() == set()
    assert set(keys(await world.read(world.settings.records))) == set(numbers(1000))
    while_down = sum(each < down_until for times in server.times.values() for each in times)
    assert while_down < 2 * (50 + 20 + 12), "two processes: what was under way, and few probes"


async def test_a_later_success_takes_the_key_out_of_the_failed_set(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(key: str, attempt: int) -> web.StreamResponse:
        if key == "k" and attempt == 1:
            return web.Response(status=404)
        return web.json_response({"id": key})

    server.answer = answer
    world = await make_world(processes=1)
    await world.seed("k", "other")
    async with fetcher(world):
        await world.wait_committed(2)
        assert await world.failed() == {"k"}
        await world.seed("k")
        await world.wait_committed(3)
    assert await world.failed() == set()


async def test_the_rate_limit_holds_over_all_processes(
    make_world: MakeWorld, server: Server
) -> None:
    limit = RateLimit.model_validate({"requests": 100, "per": "1s", "burst": 10})
    world = await make_world(rate_limit=limit)
    await world.seed(*numbers(400))
    async with fetcher(world):
        await world.wait_committed(400)
    times = sorted(at for each in server.times.values() for at in each)
    busiest = max(sum(1 for at in times if 0 <= at - start < 1.0) for start in times)
    assert busiest <= 110 + 10, "a second holds the limit and the burst, and leases in hand"


async def test_a_topic_of_another_generation_is_refused(make_world: MakeWorld) -> None:
    world = await make_world(processes=1)
    await world.seed(*numbers(10))
    other = world.settings.model_copy(
        update={"items": world.settings.items.model_copy(update={"generation": 8})}
    )
    write_folder(world.folder, {"settings/fetcher.json": other.model_dump_json(by_alias=True)})
    async with fetcher(world):
        await asyncio.sleep(5)
    assert await world.committed() == 0
    assert await world.read(world.settings.records) == []


async def test_an_api_that_refuses_everything_is_asked_ever_less(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(_key: str, _attempt: int) -> web.StreamResponse:
        return web.Response(status=429)

    server.answer = answer
    world = await make_world(processes=1)
    await world.seed(*numbers(100))
    async with fetcher(world):
        async with asyncio.timeout(30):
            while sum(server.asked.values()) < 500:
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        before = sum(server.asked.values())
        await asyncio.sleep(4)
    # By then each of the items waits for one second, on average, of at most two.
    assert sum(server.asked.values()) - before < 4 * 100 * 2
    assert await world.committed() == 0, "and none of them is given up for it"


@pytest.mark.parametrize("limit", [None, RateLimit(requests=1000)])
async def test_a_rest_that_nobody_would_live_to_see_the_end_of_is_told(
    make_world: MakeWorld, server: Server, limit: RateLimit | None
) -> None:
    async def answer(_key: str, _attempt: int) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "9" * 400})

    server.answer = answer
    world = await make_world(rate_limit=limit, processes=1)
    await world.seed("1")
    port = free_port()
    async with pod("fetch", world.folder, port=port):
        state = await told(port, "ApiRests")
    assert "nothing is sent for 86" in state
    assert '"restarts":0' in state


async def test_what_others_write_into_headers_harms_no_item(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(_key: str, _attempt: int) -> web.StreamResponse:
        return web.Response(status=404)

    server.answer = answer
    world = await make_world(processes=1)
    headers: list[Any] = [("trace", None), ("colour", b"\xff"), (wire.RUN, b"\xff"), ("empty", b"")]
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers)
    async with producer:
        await producer.send_and_wait(world.settings.items.name, b"{}", b"1", headers=headers)
    async with fetcher(world):
        await world.wait_committed(1, 20)
    (dead,) = await world.read(world.settings.dead)
    assert [each for each in dead.headers if not each[0].startswith(wire.OURS)] == [
        ("trace", b""),
        ("colour", b"\xff"),
        ("empty", b""),
    ]
    assert await world.failed() == {"1"}


async def test_what_the_broker_does_not_take_is_bounded_and_not_lost(
    make_world: MakeWorld, server: Server
) -> None:
    text = base64.b64encode(os.urandom(75_000)).decode()

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        return web.json_response({"id": key, "text": text})

    server.answer = answer
    world = await make_world(processes=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    await admin.start()
    name = world.settings.records.name
    await admin.delete_topics([name])
    await world.seed(*numbers(1500))
    async with fetcher(world):
        async with asyncio.timeout(60):
            while len(server.asked) * len(text) < MOST:
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        fetched = len(server.asked)
        await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
        await world.wait_committed(1500)
    await admin.close()
    assert fetched * len(text) < MOST + 2 * world.settings.concurrency * len(text)
    assert set(keys(await world.read(world.settings.records))) == set(numbers(1500))
