"""The password of Redis changes while a writer runs."""

import asyncio

from redis.asyncio import Redis

from integration.fetch.servers import change_password, own_redis
from integration.processes import write_folder
from integration.write.test_writer import World, assert_newest, dead_items, world, writer
from sluice_workers import failed_set

__all__ = ["world"]


async def test_a_writer_gives_up_records_once_the_secret_tells(world: World) -> None:
    with own_redis() as redis:
        url = await change_password(redis.url, "before")
        write_folder(world.folder, {"redis/url": url})
        await world.produce(range(300), lambda _: 1)
        async with writer(world):
            await world.wait_for_offsets(300)
            url = await change_password(url, "after")
            await world.produce_raw(b"text", b"no json", 1)
            await asyncio.sleep(3)
            assert await world.offset_sum() == 300
            write_folder(world.folder, {"redis/url": url})
            await world.wait_for_offsets(301)
        failed = failed_set.redis_key(world.job, world.settings.dead.generation)
        async with Redis.from_url(url, decode_responses=True) as client:
            assert await client.hkeys(failed) == ["text"]
    assert {item.key for item in await dead_items(world)} == {"text"}
    await assert_newest(world, 300, 1)
