"""The password of Redis changes while a fetcher runs."""

import asyncio

from aiohttp import web

from integration.fetch.servers import change_password, own_redis
from integration.fetch.world import MakeWorld, Server, fetcher, keys, numbers
from integration.processes import write_folder
from sluice_api.source import RateLimit


async def test_a_fetcher_goes_on_once_the_secret_tells(
    make_world: MakeWorld, server: Server
) -> None:
    """Its rate limit, its permits and its failed set need Redis."""

    async def answer(key: str, _: int) -> web.Response:
        return web.Response(status=404) if key == "gone" else web.json_response({"id": key})

    server.answer = answer
    limit = RateLimit.model_validate({"requests": 500, "burst": 10})
    world = await make_world(rate_limit=limit, max_connections=10)
    with own_redis() as redis:
        world.redis_url = await change_password(redis.url, "before")
        write_folder(world.folder, {"redis/url": world.redis_url})
        await world.seed(*numbers(100))
        async with fetcher(world):
            await world.wait_committed(100)
            world.redis_url = await change_password(world.redis_url, "after")
            await world.seed("gone", *(f"more-{number}" for number in range(100)))
            await asyncio.sleep(3)
            assert await world.committed() == 100
            write_folder(world.folder, {"redis/url": "redis://:after@127.0.0.1:port/0"})
            await asyncio.sleep(2)
            write_folder(world.folder, {"redis/url": world.redis_url})
            await world.wait_committed(201, 30)
        assert await world.failed() == {"gone"}
    assert len(keys(await world.read(world.settings.records))) == 200
