"""Batches of which Postgres refuses much: each row is decided, and what is decided stays so."""

import asyncio
from collections.abc import Callable

import pytest

from integration.processes import free_port, kill, pod
from integration.write.sessions import opened
from integration.write.test_broken_target import execute, wait_for_trouble
from integration.write.test_durable import buffered, configure, wait_until_merged
from integration.write.test_writer import World, dead_items, world, writer
from sluice_workers.settings import WriterSettings
from sluice_workers.write import session as sessions_module
from sluice_workers.write.offsets import Owner

__all__ = ["world"]

COUNT = 3000
REFUSED: dict[str, Callable[[int], bool]] = {
    "all": lambda _: True,
    "half": lambda number: number % 2 == 0,
    "one": lambda number: number == 1234,
}
CHECK = "ALTER TABLE users ADD CONSTRAINT no_thirteen CHECK (name <> 'v13')"
SLOW = """
CREATE FUNCTION slowly(name text) RETURNS bool LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(0.02); RETURN name <> 'v13'; END $$;
ALTER TABLE users ADD CONSTRAINT no_thirteen CHECK (slowly(name));
"""


def large(world: World) -> World:
    """Have batches of a thousand and more."""
    batch = world.settings.batch.model_copy(update={"min_size": 1000, "max_size": 5000})
    settings: WriterSettings = world.settings.model_copy(update={"batch": batch})
    path = world.folder / "settings" / "writer.json"
    path.write_text(settings.model_dump_json(by_alias=True))
    world.settings = settings
    return world


async def dead_keys(world: World, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found = [item.key for item in await dead_items(world)]
    return found


@pytest.mark.parametrize("buffer", ["Transactional", "Durable"])
@pytest.mark.parametrize("refused", REFUSED)
async def test_all_that_is_refused_is_dead_and_the_rest_is_written(
    world: World, refused: str, buffer: str
) -> None:
    world = large(world)
    if buffer == "Durable":
        world = configure(world)
    wrong = {number for number in range(COUNT) if REFUSED[refused](number)}
    await execute(world, CHECK)
    await world.produce(range(COUNT), lambda number: 13 if number in wrong else 1)
    port = free_port()
    async with pod("write", world.folder, port=port):
        if refused == "all":
            await wait_for_trouble(port, "RecordsRefused")
        await wait_until_merged(world, COUNT)
    assert sorted(map(int, await dead_keys(world, len(wrong)))) == sorted(wrong)
    rows = {number for (number,) in await world.fetch("SELECT id FROM users")}
    assert rows == set(range(COUNT)) - wrong


@pytest.mark.parametrize("buffer", ["Transactional", "Durable"])
async def test_what_a_killed_search_has_decided_stays_decided(world: World, buffer: str) -> None:
    """All is refused, and each row takes 20 ms: a batch would take 8 s, and is killed before."""
    world = large(world)
    if buffer == "Durable":
        world = configure(world)
    await execute(world, SLOW)
    await world.produce(range(400), lambda _: 13)
    async with writer(world) as process:
        async with asyncio.timeout(30):
            while (decided := await passed(world, buffer)) < 20:
                await asyncio.sleep(0.05)
        await kill(process)
    await execute(world, "ALTER TABLE users DROP CONSTRAINT no_thirteen")
    async with writer(world):
        await wait_until_merged(world, 400)
    ((written,),) = await world.fetch("SELECT count(*) FROM users")
    assert 100 < written <= 400 - decided


async def passed(world: World, buffer: str) -> int:
    """Return how many of 400 records are decided for good."""
    offsets = await world.offset_sum()
    if buffer == "Transactional":
        return offsets
    return 400 - await buffered(world) if offsets == 400 else 0


async def test_a_transaction_that_waits_for_the_dead_topic_is_not_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "AWAKE", 0.2)
    owner = Owner("u", "ns/j", 1)
    async with opened(world.uri, world.settings.sink) as found:
        positions = await found.claim(owner, {0: 0})
        async with found.transaction(owner) as transaction:
            await transaction.connection.execute(
                "SET LOCAL idle_in_transaction_session_timeout = '1s'"
            )
            async with transaction.awake():
                await asyncio.sleep(2)
            await transaction.advance(owner, positions, {0: 7})
        assert await found.known(owner, [0]) == {0: 7}
