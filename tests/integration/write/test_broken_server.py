"""A user whose permissions go, and a disk that is really full: waited for, told, nothing lost."""

import pytest

from integration.postgres_server import OWNER, OwnPostgres
from integration.postgres_server import PASSWORD as OWN
from integration.processes import free_port, pod
from integration.write.manners import USER, loader, wait_for_trouble
from integration.write.test_writer import World, assert_newest, dead_items, world

__all__ = ["world"]
FILL = """
    DO $$ BEGIN
      LOOP INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 8); END LOOP;
    EXCEPTION WHEN disk_full THEN NULL;
    END $$
"""


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    return await loader(server)


async def test_a_revoked_permission_is_told_and_waited_for(
    world: World, server: OwnPostgres
) -> None:
    admin = server.uri_of(OWNER, OWN, "warehouse")
    port = free_port()
    await world.produce(range(300), lambda _: 1)
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(300)
        for right, on in (("INSERT", "users"), ("UPDATE", "sluice.offsets")):
            written = await world.offset_sum()
            await server.execute(f"REVOKE {right} ON {on} FROM {USER}", admin)
            await world.produce(range(written, written + 300), lambda _: 1)
            message = await wait_for_trouble(port, "PermissionDenied")
            assert "permission denied for table" in message
            assert "grant it" in message
            assert await world.offset_sum() == written
            await server.execute(f"GRANT {right} ON {on} TO {USER}", admin)
            await world.wait_for_offsets(written + 300)
    await assert_newest(world, 900, 1)
    assert await dead_items(world) == []


async def test_a_full_disk_is_told_and_waited_for(world: World, server: OwnPostgres) -> None:
    admin = server.uri_of(OWNER, OWN, "warehouse")
    await server.execute("CREATE TABLESPACE small LOCATION '/srv/small'")
    await server.execute("ALTER TABLE users SET TABLESPACE small", admin)
    await server.execute("CREATE TABLE filler (content text) TABLESPACE small", admin)
    await server.execute(FILL + ";" + FILL, admin)
    port = free_port()
    await world.produce(range(2000), lambda _: 1)
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "DiskFull")
        assert "No space left on device" in message
        assert await world.offset_sum() < 2000
        await server.execute("DROP TABLE filler", admin)
        await world.wait_for_offsets(2000)
    await assert_newest(world, 2000, 1)
    assert await dead_items(world) == []


async def test_no_connection_left_is_told_and_waited_for(world: World, server: OwnPostgres) -> None:
    await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 0")
    port = free_port()
    await world.produce(range(100), lambda _: 1)
    async with pod("write", world.folder, port=port):
        message = await wait_for_trouble(port, "TooManyConnections")
        assert f'too many connections for role "{USER}"' in message
        await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 5")
        await world.wait_for_offsets(100)
    await assert_newest(world, 100, 1)
