"""The limits of a real database, as the operator reads them to bound a job's writers."""

import pytest

from integration.postgres_server import OwnPostgres
from integration.processes import pod
from integration.write.manners import USER, loader
from integration.write.test_writer import World, world
from sluice_api.names import JobName
from sluice_operator import sink
from sluice_operator.connections import EACH, Limits, limits, room

__all__ = ["world"]


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    return await loader(server)


async def test_a_jobs_own_writers_are_not_counted_against_it(
    world: World, server: OwnPostgres
) -> None:
    await server.execute(f"ALTER ROLE {USER} CONNECTION LIMIT 9")
    await server.execute("ALTER DATABASE warehouse CONNECTION LIMIT 20")
    database = sink.Database(world.uri)
    alone = await limits(database, world.job)
    assert alone == Limits(30, 3, 0, 9, 0, 20, 0)
    await world.produce(range(100), lambda _: 1)
    async with pod("write", world.folder), pod("write", world.folder):
        await world.wait_for_offsets(100)
        assert await limits(database, world.job) == alone
        # To another job they are others.
        other = await limits(database, JobName("test", "another"))
        assert other.others == other.others_of_role == other.others_of_database
        assert 1 <= other.others <= 2 * EACH
    assert room(alone).replicas == 3
    of_superuser = await limits(sink.Database(server.uri), world.job)
    assert (of_superuser.of_role, of_superuser.of_database) == (-1, -1)
