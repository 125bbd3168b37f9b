"""Rows of one batch that exchange values of a unique constraint which Postgres checks row by row.

Each of them is in the other's way, however they are ordered. So all step aside first: what they
have in the table becomes NULL, which is in nobody's way, and they are merged after that, all in one
savepoint. Where a column cannot be NULL they are refused.
"""

from collections.abc import Sequence
from typing import Final

from sluice_api.identifiers import quoted
from sluice_api.sink import PostgresSink, WriteMode
from sluice_workers.write.message import Message
from sluice_workers.write.refusal import sqlstate
from sluice_workers.write.row import Row, bookkeeping_column

ROUNDS: Final = 4
"""How often those that are in the way of others for good are left out of the exchange."""
COLUMNS: Final = """
    SELECT DISTINCT a.attname::text
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indimmediate
      AND (to_jsonb(i) ->> 'indnullsnotdistinct')::boolean IS NOT TRUE
      AND NOT a.attnotnull AND a.attname = ANY ($2::text[])
      AND NOT EXISTS (
        SELECT FROM pg_constraint AS c
        WHERE c.contype = 'f' AND c.confrelid = i.indrelid AND a.attnum = ANY (c.confkey)
      )
"""
"""Which columns of a table make room in a unique index when they are NULL.

Not those that foreign keys refer to: ON UPDATE would carry the NULL on.
"""

Refused = tuple[Message, Row, Exception]


def step_aside(sink: PostgresSink, columns: Sequence[str], table: str, buffer: str) -> str:
    """Return the statement that sets columns to NULL in the rows that the buffer will update."""
    values = ", ".join(f"{quoted(name)} = NULL" for name in columns)
    same = " AND ".join(f"target.{name} = new.{name}" for name in map(quoted, sink.key))
    version = quoted(bookkeeping_column(sink))
    return (
        f"UPDATE {table} AS target SET {values} FROM {buffer} AS new"
        f" WHERE {same} AND target.{version} <= new.{version}"
    )


def candidates(sink: PostgresSink) -> list[str]:
    """Return the columns that a merge would write again after they were NULL."""
    if sink.mode is not WriteMode.UPSERT:
        return []
    return [name for name in sink.columns if name not in sink.key]


def is_in_the_way(error: Exception) -> bool:
    """Whether a row was refused for a value that another row has."""
    return sqlstate(error) == "23505"
