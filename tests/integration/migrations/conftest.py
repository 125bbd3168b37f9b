"""What the tests of migrations share."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

Execute = Callable[[str], Awaitable[list[Any]]]


@pytest.fixture
def execute(postgres_uri: str) -> Execute:
    """Runs a statement in a session of its own."""

    async def run(statement: str) -> list[Any]:
        connection = await asyncpg.connect(postgres_uri)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return run
