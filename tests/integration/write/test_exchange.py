"""Rows of one batch that exchange unique values, whatever the constraint allows."""

import pytest

from integration.write.test_broken_target import execute
from integration.write.test_writer import World, dead_items, world, writer

__all__ = ["world"]
CONSTRAINTS = {
    "plain": "ADD CONSTRAINT one_name UNIQUE (name)",
    "deferrable": "ADD CONSTRAINT one_name UNIQUE (name) DEFERRABLE",
    "not null": "ADD CONSTRAINT one_name UNIQUE (name), ALTER name SET NOT NULL",
    "checked": "ADD CONSTRAINT one_name UNIQUE (name), ADD CHECK (name IS NOT NULL)",
    "referred to": (
        "ADD CONSTRAINT one_name UNIQUE (name); CREATE TABLE fans"
        " (idol text REFERENCES users (name) ON UPDATE CASCADE)"
    ),
}
OWN = "ALTER TABLE users ADD note text DEFAULT 'mine', "


async def produce(world: World, names: dict[int, str], version: int) -> None:
    for number, name in names.items():
        value = f'{{"id": {number}, "name": "{name}"}}'.encode()
        # One key for all: they are in one partition, and in this order.
        await world.produce_raw(b"all", value, version)


async def write(world: World, total: int) -> dict[int, str]:
    async with writer(world):
        await world.wait_for_offsets(total)
    return dict(await world.fetch("SELECT id, name FROM users"))  # type: ignore[arg-type]


@pytest.mark.parametrize("constraint", ["plain", "deferrable"])
async def test_rows_exchange_unique_values(world: World, constraint: str) -> None:
    await execute(world, OWN + CONSTRAINTS[constraint])
    before = {number: f"n{number}" for number in range(6)}
    await produce(world, before, 1)
    assert await write(world, 6) == before
    after = {number: f"n{(number + 1) % 5}" for number in range(5)} | {7: "new"}
    await produce(world, after, 2)
    assert await write(world, 12) == {**before, **after}
    assert await dead_items(world) == []
    # It is still the same rows: what is not ours in them has stayed.
    assert await world.fetch("SELECT count(*) FROM users WHERE note = 'mine'") == [(7,)]


async def test_who_takes_a_strangers_value_does_not_spoil_the_exchange_of_others(
    world: World,
) -> None:
    await execute(world, OWN + CONSTRAINTS["plain"])
    before = {number: f"n{number}" for number in range(6)}
    await produce(world, before, 1)
    await write(world, 6)
    await produce(world, {0: "n1", 1: "n0", 2: "n5", 3: "n4", 4: "n3"}, 2)
    found = await write(world, 11)
    assert found == {0: "n1", 1: "n0", 2: "n2", 3: "n4", 4: "n3", 5: "n5"}
    (dead,) = await dead_items(world)
    assert "Key (name)=(n5) already exists" in dead.message


async def test_an_older_row_never_steps_aside(world: World) -> None:
    await execute(world, OWN + CONSTRAINTS["plain"])
    await produce(world, {0: "a", 1: "b"}, 5)
    await write(world, 2)
    await produce(world, {0: "b", 1: "a"}, 3)
    assert await write(world, 4) == {0: "a", 1: "b"}
    await produce(world, {2: "b"}, 6)
    await produce(world, {0: "b"}, 4)
    assert await write(world, 6) == {0: "a", 1: "b"}
    (dead,) = await dead_items(world)
    assert "one_name" in dead.message


@pytest.mark.parametrize("constraint", ["not null", "checked", "referred to"])
async def test_where_nothing_can_step_aside_the_exchange_is_refused_whole(
    world: World, constraint: str
) -> None:
    await execute(world, OWN + CONSTRAINTS[constraint])
    before = {0: "a", 1: "b", 2: "c"}
    await produce(world, before, 1)
    await write(world, 3)
    await produce(world, {0: "b", 1: "a", 2: "d"}, 2)
    assert await write(world, 6) == {0: "a", 1: "b", 2: "d"}
    dead = await dead_items(world)
    assert len(dead) == 2
    assert all("one_name" in each.message for each in dead)
