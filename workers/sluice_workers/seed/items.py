"""The items of a seed, one by one, whatever list they come from."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import asyncpg
import orjson

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_api.source import Items
from sluice_workers.settings import read_text
from sluice_workers.write.refusal import GONE, first_line

PREFETCH: Final = 2000
"""Rows that the server-side cursor gets at once."""
CONNECT_TIMEOUT: Final = 10.0

Seedling = tuple[str, bytes | None]
"""The item key, and its attributes as JSON if it has any."""


async def read(items: Items, folder: Path) -> AsyncIterator[Seedling]:
    """Yield every item. Raises ``ConfigurationError`` or ``DependencyError``."""
    if items.postgres is not None:
        uri = read_text(folder / "source" / items.postgres.secret_ref.key).strip()
        async for item in query(uri, items.postgres.query):
            yield item
        return
    for key in listed(items, folder):
        yield key, None


def listed(items: Items, folder: Path) -> Iterable[str]:
    """Return the keys of a list: from the spec, or from a ConfigMap's lines."""
    if items.values is not None:
        return items.values
    if items.config_map is None:
        raise ConfigurationError("items: a topic that others fill needs no seed")
    lines = read_text(folder / "items" / items.config_map.key).splitlines()
    return [line.strip() for line in lines if line.strip()]


async def query(uri: str, statement: str) -> AsyncIterator[Seedling]:
    """Yield a query's rows through a server-side cursor, so that memory does not grow with them."""
    try:
        connection = await asyncpg.connect(uri, timeout=CONNECT_TIMEOUT)
    except ValueError:
        # What a URI that cannot be parsed says of itself may be a part of its password.
        raise ConfigurationError(
            "spec.source.items.postgres.secretRef: the URI cannot be read: it must be"
            " postgresql://user:password@host/database with special characters percent-encoded"
        ) from None
    except (*GONE, asyncpg.PostgresError) as error:
        raise _gone(error) from error
    try:
        async with connection.transaction(readonly=True):
            async for row in connection.cursor(statement, prefetch=PREFETCH):
                yield _seedling(row)
    except GONE as error:
        raise _gone(error) from error
    except asyncpg.PostgresError as error:
        raise ConfigurationError(
            f"spec.source.items.postgres.query: the database refuses it: {error}"
        ) from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)


def _gone(error: Exception) -> DependencyError:
    return DependencyError(
        "DatabaseUnreachable", f"the source's database does not answer: {first_line(error)}"
    )


def _seedling(row: asyncpg.Record) -> Seedling:
    if row[0] is None:
        raise ConfigurationError(
            "spec.source.items.postgres.query: the first column is the item key and must not be"
            " null, found null: add a condition"
        )
    attributes = dict(row.items())
    return str(row[0]), orjson.dumps(attributes, default=str)
