"""The SQL of a writer: its buffer, and the merge from there into the target table."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sluice_api.column_type import TEXTS, TypeParts, parts, spelled
from sluice_api.identifiers import quoted
from sluice_api.sink import PostgresSink, WriteMode
from sluice_workers.write import record_ids
from sluice_workers.write.row import bookkeeping_column

DEFER: Final = "SET CONSTRAINTS ALL DEFERRED"
"""Rows may exchange values that are unique, where the constraint allows it."""
CHECK: Final = "SET CONSTRAINTS ALL IMMEDIATE"
BEGIN: Final = (
    # An offset is moved on from where it was left by a transaction that it waited for.
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '60s';"
    # A writer that stalls between two statements holds locks that its successor waits for.
    " SET LOCAL idle_in_transaction_session_timeout = '10s';"
    # It may wait for the one before, whatever its role or database has for others.
    " SET LOCAL lock_timeout = 0;"
    f" SET LOCAL synchronous_commit = on; {DEFER}"
)
"""Begins a transaction, with what holds for it alone: behind a pooler, the next is another's."""

SHAPE: Final = """
    SELECT attname::text, format_type(atttypid, atttypmod), attcollation::text
    FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
    ORDER BY attname
"""
"""What a table looks like."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What a writer executes, for one sink whose table has one shape."""

    buffer: str
    """The buffer's name: a temporary table of the session, which each commit empties."""
    create_buffer: str
    empty_buffer: str
    empty_of_few: str
    """Empties the buffer too, and costs by the row."""
    merge: str
    direct: bool
    """Whether COPY takes rows right into the table: its types are those of the buffer."""
    mergeable: str
    """Fails as a merge would, without one: for rules, or where no unique index is on the identity,
    COPY would double rows and say nothing. It locks the table, so what it finds holds."""


def statements(sink: PostgresSink, shape: Sequence[tuple[str, ...]]) -> Statements:
    """Build a sink's statements.

    The buffer's name tells the shape of the table, so that one that was made for another shape, or
    for another job that shares the session through a pooler, is never taken for it.
    """
    table = sink.quoted_table
    buffered = ", ".join(f"{quoted(name)} {kind}" for name, kind in buffer_columns(sink).items())
    buffer = f"sluice_{blake2b(repr((table, buffered, shape)).encode(), digest_size=8).hexdigest()}"
    create = f"CREATE TEMPORARY TABLE IF NOT EXISTS {buffer} ({buffered}) ON COMMIT DELETE ROWS"
    return Statements(
        buffer=buffer,
        create_buffer=create,
        empty_buffer=f"TRUNCATE pg_temp.{buffer}",
        empty_of_few=f"DELETE FROM pg_temp.{buffer}",
        merge=_merge(sink, table, f"pg_temp.{buffer}"),
        direct=_direct(sink, shape),
        mergeable=_mergeable(sink, table),
    )


def _mergeable(sink: PostgresSink, table: str) -> str:
    identity = ", ".join(map(quoted, sink.identity))
    nothing = ", ".join("NULL" for _ in sink.identity)
    # Planned and not executed: no trigger fires, not even one for the statement.
    return (
        f"EXPLAIN INSERT INTO {table} ({identity}) VALUES ({nothing})"
        f" ON CONFLICT ({identity}) DO NOTHING"
    )


def _merge(sink: PostgresSink, table: str, buffer: str) -> str:
    own, apart = bookkeeping_column(sink), record_ids.apart(sink)
    names = [*sink.columns] if apart else [*sink.columns, own]
    columns, values = ", ".join(map(quoted, names)), _values(sink, names)
    if apart:
        return record_ids.append(
            table=table, columns=columns, values=values, buffer=buffer, own=quoted(own)
        )
    order = ", ".join(map(quoted, sink.identity))
    # Writers that meet the same rows in the same order wait for each other, never in a circle.
    return (
        f"INSERT INTO {table} AS target ({columns})"
        f" SELECT {values} FROM {buffer} ORDER BY {order}"
        f" ON CONFLICT ({order}) {_on_conflict(sink, names, own)}"
    )


def buffer_columns(sink: PostgresSink) -> dict[str, str]:
    """Return the buffer's columns and their types, in the order of a row.

    They have the mapping's types, so what COPY encodes does not depend on what the table has; the
    merge assigns them. Limits of length and precision are the table's own.
    """
    found = {name: _buffered(column.type.parts) for name, column in sink.columns.items()}
    found |= record_ids.PLACE if record_ids.apart(sink) else {}
    return found | {bookkeeping_column(sink): "bigint" if sink.mode is WriteMode.UPSERT else "text"}


def _buffered(kind: TypeParts) -> str:
    base = "text" if _cast(kind) or kind.base == "char" else kind.base
    return f"{base}{'[]' if kind.array else ''}"


def _values(sink: PostgresSink, names: list[str]) -> str:
    """Return what the merge selects; what travels as text is cast, the rest is assigned."""
    casts = {
        name: f"CAST({quoted(name)} AS {column.type.parts.sql})"
        for name, column in sink.columns.items()
        if _cast(column.type.parts)
    }
    return ", ".join(casts.get(name, quoted(name)) for name in names)


def _cast(kind: TypeParts) -> bool:
    return kind.own or kind.base == "interval"


def _direct(sink: PostgresSink, shape: Sequence[tuple[str, ...]]) -> bool:
    """Whether what is encoded for the buffer is right for the table: no domain, no citext."""
    found = {name: parts(spelled(kind)) for name, kind, *_ in shape}
    wanted = {name: parts(kind) for name, kind in buffer_columns(sink).items()}
    if record_ids.apart(sink):
        return False
    return not any(_cast(column.type.parts) for column in sink.columns.values()) and all(
        name in found and _encoded(found[name]) == _encoded(kind) for name, kind in wanted.items()
    )


def _encoded(kind: TypeParts) -> tuple[str, bool]:
    return ("text" if kind.base in TEXTS else kind.base), kind.array


def _on_conflict(sink: PostgresSink, names: list[str], own: str) -> str:
    if sink.mode is WriteMode.APPEND:
        return "DO NOTHING"
    others = [quoted(name) for name in names if name not in sink.key]
    values = ", ".join(f"{name} = EXCLUDED.{name}" for name in others)
    version = quoted(own)
    # A row from before Sluice has no version: any record is newer.
    return f"DO UPDATE SET {values} WHERE (target.{version} > EXCLUDED.{version}) IS NOT TRUE"
