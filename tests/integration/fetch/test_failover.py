"""Redis behind an address that leads to another server after a failover."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from redis.asyncio import Redis

from integration.fetch.servers import OwnRedis, own_redis
from sluice_workers.redis_client import connect


class Address:
    """Leads each new connection to the server of the moment; old ones stay where they are."""

    def __init__(self, server: OwnRedis) -> None:
        self.server = server

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = urlsplit(self.server.url).port
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass(reader, back), _pass(there, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def leading(address: Address) -> AsyncIterator[str]:
    server = await asyncio.start_server(address.lead, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


async def test_a_server_that_was_demoted_is_left_for_its_successor() -> None:
    with own_redis() as before, own_redis() as after:
        address = Address(before)
        async with leading(address) as url:
            client = connect(url)
            script = client.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
            await script(keys=["at"], args=["before"])
            async with Redis.from_url(before.url) as demoted:
                await demoted.execute_command("REPLICAOF", "127.0.0.1", "1")
            address.server = after
            await script(keys=["at"], args=["after"])
            assert await client.get("at") == b"after"
            await client.aclose()
            await asyncio.sleep(0.1)
