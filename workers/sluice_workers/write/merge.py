"""The SQL of a writer: its buffer, and the merge from there into the target table."""

from dataclasses import dataclass
from typing import Final

from sluice_api.sink import PostgresSink, WriteMode
from sluice_workers.write.row import bookkeeping_column

BUFFER: Final = "sluice_buffer"
"""A temporary table of the session, emptied by each commit: typed, not logged, made once."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What a writer executes, for one sink."""

    create_buffer: str
    merge: str


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def statements(sink: PostgresSink) -> Statements:
    """Build a sink's statements."""
    schema, _, name = sink.table.partition(".")
    table = f"{quoted(schema)}.{quoted(name)}"
    own = bookkeeping_column(sink)
    names = [*sink.columns, own]
    columns = ", ".join(map(quoted, names))
    create = (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {BUFFER} ON COMMIT DELETE ROWS"
        f" AS SELECT {columns} FROM {table} WITH NO DATA"
    )
    identity = sink.key if sink.mode is WriteMode.UPSERT else (own,)
    order = ", ".join(map(quoted, identity))
    # Writers that meet the same rows in the same order wait for each other, never in a circle.
    insert = (
        f"INSERT INTO {table} AS target ({columns})"
        f" SELECT {columns} FROM {BUFFER} ORDER BY {order} ON CONFLICT ({order})"
    )
    return Statements(create, f"{insert} {_on_conflict(sink, names, own)}")


def _on_conflict(sink: PostgresSink, names: list[str], own: str) -> str:
    if sink.mode is WriteMode.APPEND:
        return "DO NOTHING"
    others = [quoted(name) for name in names if name not in sink.key]
    values = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
    version = quoted(own)
    return f"DO UPDATE SET {values} WHERE target.{version} <= EXCLUDED.{version}"
