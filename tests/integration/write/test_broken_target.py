"""Targets that are broken: the writer waits, dead-letters nothing and goes on when they heal."""

import asyncio
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from integration.processes import free_port, pod
from integration.write.test_writer import World, assert_newest, dead_items, world, writer

__all__ = ["world"]

FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON users EXECUTE FUNCTION full_disk();
"""
BROKEN = {
    "TableMismatch": ("ALTER TABLE users RENAME TO hidden", "ALTER TABLE hidden RENAME TO users"),
    "DiskFull": (FULL, "DROP TRIGGER full_disk ON users"),
    "ReadOnly": (
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        "ALTER DATABASE {database} RESET ALL",
    ),
}


async def execute(world: World, statements: str) -> None:
    connection = await asyncpg.connect(world.uri)
    try:
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(statements.replace("{database}", database))
    finally:
        await connection.close()


async def wait_for_trouble(port: int, reason: str) -> None:
    """Wait until the writer's state names what keeps it from its work."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"http://127.0.0.1:{port}/state") as answer:
                    if f'"{reason}"' in await answer.text():
                        return
            except aiohttp.ClientError:
                pass  # It is not up yet.
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("reason", BROKEN)
async def test_a_broken_target_is_told_and_waited_for(world: World, reason: str) -> None:
    broken, healed = BROKEN[reason]
    port = free_port()
    await execute(world, broken)
    await world.produce(range(100), lambda _: 1)
    async with pod("write", world.folder, port=port):
        await wait_for_trouble(port, reason)
        assert await world.offset_sum() == 0
        await execute(world, healed)
        await world.wait_for_offsets(100)
    await assert_newest(world, 100, 1)
    assert await dead_items(world) == []


CHANGED = {
    "ALTER TABLE users DROP CONSTRAINT users_pkey": "ALTER TABLE users ADD PRIMARY KEY (id)",
    "CREATE RULE told AS ON INSERT TO users DO ALSO NOTIFY users": "DROP RULE told ON users",
}


async def test_a_table_that_changes_under_a_writer_doubles_nothing(world: World) -> None:
    """COPY into the table would pass it over, while the writer thinks that all rows are new."""
    await world.produce(range(100), lambda _: 1)
    port, total = free_port(), 100
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(total)
        for changed, undone in CHANGED.items():
            await execute(world, changed)
            await world.produce(range(100), lambda _: 2)
            await wait_for_trouble(port, "TableMismatch")
            await execute(world, undone)
            total += 100
            await world.wait_for_offsets(total)
    await assert_newest(world, 100, 2)
    assert await dead_items(world) == []


async def test_who_violates_a_secondary_constraint_is_dead_alone(world: World) -> None:
    await execute(world, "ALTER TABLE users ADD CONSTRAINT one_name UNIQUE (name)")
    await world.produce(range(1, 200), lambda number: number)
    await world.produce_raw(b"900", b'{"id": 900, "name": "v7"}', 1)
    async with writer(world):
        await world.wait_for_offsets(200)
    rows = await world.fetch("SELECT count(*), count(DISTINCT name) FROM users")
    assert rows == [(199, 199)]
    (dead,) = await dead_items(world)
    assert dead.key in {"900", "7"}
    assert "one_name" in dead.message


PARTITIONED = """
DROP TABLE users;
CREATE TABLE public.users (id bigint PRIMARY KEY, name text, doc jsonb, fetched_at timestamptz,
  _sluice_version bigint) PARTITION BY RANGE (id);
CREATE TABLE public.users_0 PARTITION OF users FOR VALUES FROM (0) TO (90);
"""
MORE = "CREATE TABLE public.users_1 PARTITION OF users FOR VALUES FROM (90) TO (200)"
POLICY = """
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY named ON users USING (true) WITH CHECK (name <> 'v13');
"""
ROLE = """
CREATE ROLE {role} LOGIN PASSWORD 'p';
GRANT ALL ON users TO {role};
GRANT ALL ON SCHEMA sluice TO {role};
GRANT ALL ON ALL TABLES IN SCHEMA sluice TO {role};
"""


async def test_a_missing_partition_is_waited_for(world: World) -> None:
    await execute(world, PARTITIONED)
    await world.produce(range(100), lambda _: 1)
    port = free_port()
    async with pod("write", world.folder, port=port):
        await wait_for_trouble(port, "PartitionMissing")
        async with aiohttp.ClientSession() as client:
            said = await (await client.get(f"http://127.0.0.1:{port}/state")).text()
        assert "Partition key of the failing row contains (id) = (9" in said
        await execute(world, MORE)
        await world.wait_for_offsets(100)
    await assert_newest(world, 100, 1)
    assert await dead_items(world) == []


async def test_a_row_that_a_policy_refuses_is_dead_alone(world: World) -> None:
    await execute(world, POLICY)
    role = f"writer_{world.job.name.replace('-', '_')}"
    await execute(world, ROLE.format(role=role))
    uri = urlsplit(world.uri)
    place = uri.netloc.rpartition("@")[2]
    own = uri._replace(netloc=f"{role}:p@{place}").geturl()
    (world.folder / "sink" / "uri").write_text(own)
    try:
        await world.produce(range(100), lambda number: 13 if number == 42 else 1)
        async with writer(world):
            await world.wait_for_offsets(100)
        (dead,) = await dead_items(world)
        assert dead.key == "42"
        assert "row-level security policy" in dead.message
        assert await world.fetch("SELECT count(*) FROM users") == [(99,)]
    finally:
        await execute(world, f"DROP OWNED BY {role}; DROP ROLE {role}")
