"""Items from a query, of a database that refuses it or goes away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.postgres_server import OwnPostgres, own_postgres
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers.seed.items import PREFETCH, query

MANY = 3 * PREFETCH


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path / "postgres") as found:
        yield found


async def test_each_row_is_an_item_with_its_other_columns(server: OwnPostgres) -> None:
    statement = f"SELECT n AS id, 'a' || n AS name FROM generate_series(1, {MANY}) AS n"
    found = [item async for item in query(server.uri, statement)]
    assert len(found) == MANY
    assert found[0] == ("1", b'{"id":1,"name":"a1"}')


@pytest.mark.parametrize("mode", ["immediate", "fast"])
async def test_a_database_that_goes_away_is_no_fault_of_the_query(
    server: OwnPostgres, mode: str
) -> None:
    rows = query(server.uri, f"SELECT n FROM generate_series(1, {MANY}) AS n")
    assert (await anext(rows))[0] == "1"
    await asyncio.to_thread(server.stop, mode)
    with pytest.raises(DependencyError, match=r"the source.s database does not answer: \w"):
        async for _ in rows:
            pass


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT id FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT 1 / (3000 - n) FROM generate_series(1, 4000) AS n", "division by zero"),
        ("SELECT NULL", "the first column is the item key and must not be null"),
    ],
)
async def test_a_query_that_is_refused_says_why(
    server: OwnPostgres, statement: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.source\.items\.postgres\.query") as found:
        async for _ in query(server.uri, statement):
            pass
    assert words in str(found.value)
