"""Topics that take only small messages: an item that does not fit is given up, in words."""

import json

from aiohttp import web
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from integration.fetch.world import MakeWorld, Server, World, dead_items, fetcher, keys, numbers
from sluice_api.spec import Compression
from sluice_workers.producer import Message, Producer

SMALL = 20_000


async def bound(world: World, topic: str, most: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    await admin.start()
    settings = {"retention.ms": "-1", "max.message.bytes": str(most)}
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, settings)
    await admin.alter_configs([resource])
    await admin.close()


async def test_a_record_that_its_topic_does_not_take_is_that_items_failure(
    make_world: MakeWorld, server: Server
) -> None:
    """The others go on, also those that shared its batch."""

    async def answer(key: str, _attempt: int) -> web.StreamResponse:
        return web.json_response({"id": key, "text": "x" * (60_000 if key == "7" else 900)})

    server.answer = answer
    world = await make_world(processes=1, compression=Compression.NONE)
    await bound(world, world.settings.records.name, SMALL)
    await world.seed(*numbers(300))
    async with fetcher(world):
        await world.wait_committed(300)
    (dead,) = dead_items(await world.read(world.settings.dead))
    assert (dead.key, dead.reason, dead.attempts) == ("7", "RecordTooLarge", 1)
    assert f"topic {world.settings.records.name} takes no message of 60" in dead.message
    assert "raise its max.message.bytes" in dead.message
    assert set(keys(await world.read(world.settings.records))) == {*numbers(300)} - {"7"}
    assert await world.failed() == {"7"}


async def test_of_what_the_dead_topic_does_not_take_the_reason_is_kept(
    make_world: MakeWorld, server: Server
) -> None:
    async def answer(_key: str, _attempt: int) -> web.StreamResponse:
        return web.Response(status=404, reason="n" * 2000, headers={"X-Request-Id": "r"})

    server.answer = answer
    world = await make_world(processes=1, compression=Compression.NONE)
    producer = Producer(world.kafka, Compression.NONE)
    value = json.dumps({"text": "x" * 3000}).encode()
    await producer.send(world.settings.items.name, [Message(b"1", value, (("own", b"o" * 900),))])
    await producer.close()
    await bound(world, world.settings.dead.name, 1500)
    async with fetcher(world):
        await world.wait_committed(1)
    (dead,) = dead_items(await world.read(world.settings.dead))
    assert (dead.reason, dead.status, dead.value, dead.whole) == ("HttpStatus", 404, None, False)
    assert dead.message.startswith("the API answered 404 nnn")
    assert await world.failed() == {"1"}
