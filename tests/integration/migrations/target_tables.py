"""Sinks for the tests of target tables, and what becomes of their table."""

from typing import Any

from sqlalchemy import Connection

from sluice_api.sink import PostgresSink
from sluice_migrations import catalog, target
from sluice_migrations.database import within


def sink(columns: dict[str, Any], **changes: Any) -> PostgresSink:
    content = {
        "secretRef": {"name": "w"},
        "table": "shop.orders",
        "key": ["id"],
        "columns": {
            name: kind if isinstance(kind, dict) else {"type": kind}
            for name, kind in columns.items()
        },
    }
    return PostgresSink.model_validate(content | changes)


async def prepare(uri: str, wanted: PostgresSink) -> None:
    await within(uri, lambda connection: target.prepare(connection, wanted))


async def columns(uri: str, table: str = "shop.orders") -> dict[str, str]:
    def read(connection: Connection) -> dict[str, str]:
        found = catalog.read(connection, table)
        assert found is not None
        return {name: str(column.type) for name, column in found.columns.items()}

    return await within(uri, read)
