"""Names as Postgres allows them when they are quoted, all the way into real tables."""

import asyncio
import json
from typing import Any

import pytest

from integration.processes import write_folder
from integration.write import sessions
from integration.write.test_broken_target import execute
from integration.write.test_types import database
from integration.write.test_writer import World, dead_items, world, writer
from sluice_api.identifiers import quoted
from sluice_api.sink import PostgresSink
from sluice_migrations import target
from sluice_migrations.database import within
from sluice_workers.write.offsets import Owner
from sluice_workers.write.row import RowParser

__all__ = ["database", "world"]
OWNER = Owner("u", "ns/j", 1)
KEY = 'user "Id" 100%'
NAMES = ["select", "a.b", "two words", "größe", "a:b", "$1", "{x}", "it's", "back\\slash", "A" * 63]
TABLE = 'Ånge "x" 50%:a.Order %s {y}'


def sink(**changes: Any) -> PostgresSink:
    columns: dict[str, Any] = {name: {"type": "text"} for name in NAMES}
    columns |= {KEY: {"type": "integer"}, "Mood": {"type": "Own.Mood"}}
    columns["Deep"] = {"type": "varchar(9)", "path": "$['first part'][0]['is.deep']"}
    given = {"secretRef": {"name": "w"}, "table": TABLE, "key": [KEY], "columns": columns}
    return PostgresSink.model_validate(given | changes)


APPEND = {"mode": "Append", "key": []}
APART = APPEND | {"recordIds": "Apart"}


def record(key: int, text: str) -> str:
    deep = {"first part": [{"is.deep": text}]}
    return json.dumps(dict.fromkeys(NAMES, text) | deep | {KEY: key, "Mood": "So so"})


@pytest.mark.parametrize("changes", [{"versionColumn": "my Version"}, APPEND, APART])
@pytest.mark.parametrize("merge", [True, False])
async def test_a_managed_table_may_be_called_anything(
    database: Any, postgres_uri: str, merge: bool, changes: dict[str, Any]
) -> None:
    await database.execute("""CREATE SCHEMA "Own"; CREATE TYPE "Own"."Mood" AS ENUM ('So so')""")
    made = sink(**changes)
    await prepare(postgres_uri, made)
    await prepare(postgres_uri, made)
    rows = [sessions.row(RowParser(made), record(n, f"t{n}"), f"r/{n}") for n in range(3)]
    await sessions.write(postgres_uri, made, OWNER, rows, merge=merge)
    shown = ", ".join(map(quoted, [*NAMES, "Mood", "Deep"]))
    found = await database.fetch(f"SELECT {shown} FROM {made.quoted_table} ORDER BY {quoted(KEY)}")
    assert [tuple(row) for row in found] == [
        (*[f"t{n}"] * len(NAMES), "So so", f"t{n}") for n in range(3)
    ]
    # It follows: a column more, a wider one, one that goes, and NOT NULL that goes.
    columns = made.model_dump(by_alias=True)["columns"]
    columns["Deep"]["type"] = "varchar(10)"
    dropped = columns.pop("a.b") and {"drop": ["a.b"]}
    later = sink(columns=columns | {"new One": {"type": "date"}}, migrations=dropped, **changes)
    await prepare(postgres_uri, later)
    row = await database.fetchrow(f"SELECT * FROM {made.quoted_table}")
    assert "new One" in row
    assert "a.b" not in row


async def prepare(uri: str, wanted: PostgresSink) -> None:
    await within(uri, lambda connection: target.prepare(connection, wanted))


async def test_messages_spell_names_as_statements_take_them(
    database: Any, postgres_uri: str
) -> None:
    await database.execute('CREATE TABLE "Users" ("userId" integer, "order" text)')
    columns = {"userId": {"type": "integer"}, "order": {"type": "text"}}
    wanted = {"table": "public.Users", "key": ["userId"], "columns": columns, "manage": False}
    with pytest.raises(Exception, match="_sluice_version is missing") as refused:
        await prepare(postgres_uri, sink(**wanted))
    _, _, statement = str(refused.value).rpartition(": ")
    assert statement == 'CREATE UNIQUE INDEX ON public."Users" ("userId")'
    await database.execute(f'{statement}; ALTER TABLE "Users" ADD _sluice_version bigint')
    await prepare(postgres_uri, sink(**wanted))


@pytest.mark.parametrize("buffer", ["Transactional", "Durable"])
async def test_a_users_table_may_be_called_anything(world: World, buffer: str) -> None:
    """Its rows exchange unique values, and the one that is refused is found among them."""
    columns = {KEY: {"type": "integer"}, "a.b": {"type": "text"}, "select": {"type": "text"}}
    own = sink(columns=columns, manage=False, buffer=buffer, versionColumn="my Version")
    schema, _ = own.place
    await execute(
        world,
        f"""
        CREATE SCHEMA {quoted(schema)}; CREATE TABLE {own.quoted_table} (
          {quoted(KEY)} integer PRIMARY KEY, "a.b" text UNIQUE,
          "select" text CONSTRAINT "No %s" CHECK ("select" <> 'bad'), "my Version" bigint
        )
        """,
    )
    await prepare(world.uri, own)
    found = world.settings.model_copy(update={"sink": own})
    write_folder(world.folder, {"settings/writer.json": found.model_dump_json(by_alias=True)})

    async def write(names: dict[int, str], total: int) -> None:
        for key, name in names.items():
            value = json.dumps({KEY: key, "a.b": name, "select": name}).encode()
            await world.produce_raw(b"all", value, total)
        async with writer(world):
            await world.wait_for_offsets(total)
            rows: list[Any] = []
            async with asyncio.timeout(20):
                while dict(rows) != {key: name for key, name in names.items() if name != "bad"}:
                    statement = f'SELECT {quoted(KEY)}, "a.b" FROM {own.quoted_table}'
                    rows = await world.fetch(statement)
                    await asyncio.sleep(0.1)

    await write({0: "a", 1: "b", 2: "c"}, 3)
    await write({0: "b", 1: "a", 2: "c", 3: "bad"}, 7)
    (dead,) = await dead_items(world)
    assert "No %s" in dead.message
