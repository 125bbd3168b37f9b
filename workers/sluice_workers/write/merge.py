"""The SQL of a writer: its buffer, and the merge from there into the target table."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sluice_api.sink import PostgresSink, WriteMode
from sluice_workers.write.row import bookkeeping_column

DEFER: Final = "SET CONSTRAINTS ALL DEFERRED"
"""Rows may exchange values that are unique, where the constraint allows it."""
CHECK: Final = "SET CONSTRAINTS ALL IMMEDIATE"
BEGIN: Final = (
    "SET LOCAL statement_timeout = '60s';"
    # A writer that stalls between two statements holds locks that its successor waits for.
    " SET LOCAL idle_in_transaction_session_timeout = '10s';"
    f" SET LOCAL synchronous_commit = on; {DEFER}"
)
"""What holds for one transaction: behind a pooler, the next one is another session's."""

SHAPE: Final = """
    SELECT attname::text, format_type(atttypid, atttypmod), attcollation::text
    FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
    ORDER BY attname
"""
"""What a table looks like; the buffer has the same columns."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What a writer executes, for one sink whose table has one shape."""

    buffer: str
    """The buffer's name: a temporary table of the session, which each commit empties."""
    create_buffer: str
    empty_buffer: str
    merge: str


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def table_name(sink: PostgresSink) -> tuple[str, str]:
    """Return a sink's schema and table."""
    schema, _, name = sink.table.partition(".")
    return schema, name


def statements(sink: PostgresSink, shape: Sequence[tuple[str, ...]]) -> Statements:
    """Build a sink's statements.

    The buffer's name tells the shape of the table, so that one that was made for another shape, or
    for another job that shares the session through a pooler, is never taken for it.
    """
    table = ".".join(map(quoted, table_name(sink)))
    own = bookkeeping_column(sink)
    names = [*sink.columns, own]
    columns = ", ".join(map(quoted, names))
    buffer = "sluice_" + blake2b(repr((table, names, shape)).encode(), digest_size=8).hexdigest()
    create = (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {buffer} ON COMMIT DELETE ROWS"
        f" AS SELECT {columns} FROM {table} WITH NO DATA"
    )
    identity = sink.key if sink.mode is WriteMode.UPSERT else (own,)
    order = ", ".join(map(quoted, identity))
    # Writers that meet the same rows in the same order wait for each other, never in a circle.
    insert = (
        f"INSERT INTO {table} AS target ({columns})"
        f" SELECT {columns} FROM pg_temp.{buffer} ORDER BY {order} ON CONFLICT ({order})"
    )
    merge = f"{insert} {_on_conflict(sink, names, own)}"
    return Statements(buffer, create, f"TRUNCATE pg_temp.{buffer}", merge)


def _on_conflict(sink: PostgresSink, names: list[str], own: str) -> str:
    if sink.mode is WriteMode.APPEND:
        return "DO NOTHING"
    others = [quoted(name) for name in names if name not in sink.key]
    values = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
    version = quoted(own)
    return f"DO UPDATE SET {values} WHERE target.{version} <= EXCLUDED.{version}"
