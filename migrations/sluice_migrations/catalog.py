"""What the database says of a table that is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sluice_api.column_type import BASES, TypeParts, parts, spelled

_RELATION: Final = sa.text("""
    SELECT c.oid, c.relkind::text AS kind, p.partattrs::int2[] AS key_numbers,
      p.partrelid IS NOT NULL AS partitioned
    FROM pg_class AS c LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
    WHERE c.oid = to_regclass(:table)
""")
_COLUMNS: Final = sa.text("""
    WITH RECURSIVE chain AS (
      SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier, 0 AS depth
      FROM pg_attribute AS a WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT c.attnum, t.typbasetype,
        CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE c.modifier END, c.depth + 1
      FROM chain AS c JOIN pg_type AS t ON t.oid = c.type WHERE t.typtype = 'd'
    ), base AS (
      SELECT DISTINCT ON (attnum) attnum, type, modifier FROM chain ORDER BY attnum, depth DESC
    )
    SELECT a.attnum AS number, a.attname AS name, a.attnotnull AS not_null,
      a.attgenerated <> '' AS generated, a.attidentity::text AS identity,
      a.atthasdef AS has_default,
      format_type(b.type, b.modifier) AS type,
      n.nspname || '.' || e.typname AS own, n.nspname = 'pg_catalog' AS built_in,
      t.typelem <> 0 AND t.typlen = -1 AS is_array,
      CASE WHEN d.typtype = 'd' THEN m.nspname || '.' || d.typname END AS domain
    FROM base AS b
    JOIN pg_attribute AS a ON a.attrelid = :oid AND a.attnum = b.attnum
    JOIN pg_type AS d ON d.oid = a.atttypid JOIN pg_namespace AS m ON m.oid = d.typnamespace
    JOIN pg_type AS t ON t.oid = b.type
    JOIN pg_type AS e
      ON e.oid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END
    JOIN pg_namespace AS n ON n.oid = e.typnamespace
    ORDER BY a.attnum
""")
_UNIQUE: Final = sa.text("""
    SELECT ARRAY(
      SELECT attname::text FROM pg_attribute
      WHERE attrelid = i.indrelid AND attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
      ORDER BY 1
    ) AS columns
    FROM pg_index AS i
    WHERE i.indrelid = :oid AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL
""")
_RULES: Final = sa.text("""
    SELECT rulename::text FROM pg_rewrite
    WHERE ev_class = :oid AND ev_type IN ('2', '3') AND ev_enabled IN ('O', 'A')
      AND rulename <> '_RETURN'
    ORDER BY rulename
""")
"""Those for INSERT and UPDATE."""
_SIZE: Final = sa.text("""
    SELECT sum(pg_total_relation_size(relid))::bigint
    FROM (
      SELECT relid FROM pg_partition_tree(CAST(:oid AS oid)) UNION SELECT CAST(:oid AS oid)
    ) AS parts
""")


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column that is there."""

    name: str
    type: TypeParts
    """A domain's is the type below it."""
    not_null: bool = False
    filled: bool = False
    """Whether Postgres fills it when no value is given: a default, identity or generation."""
    generated: bool = False
    identity: str = ""
    """``a`` for GENERATED ALWAYS AS IDENTITY, ``d`` for BY DEFAULT."""
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table that is there."""

    columns: Mapping[str, FoundColumn]
    unique: frozenset[tuple[str, ...]] = frozenset()
    """The columns of each whole, immediate unique index, sorted."""
    partition_key: tuple[str, ...] | None = None
    """The columns by which it is partitioned, an expression as ``""``; None when it is not."""
    rules: tuple[str, ...] = ()
    """The names of the rules that rewrite an INSERT or an UPDATE."""
    kind: str = "r"
    """Postgres's relkind."""
    size: int = 0
    """Bytes on disk, with indexes and partitions."""


def read(connection: sa.Connection, table: str) -> FoundTable | None:
    """Read a table, named as in SQL; None when there is none."""
    relation = connection.execute(_RELATION, {"table": table}).one_or_none()
    if relation is None:
        return None
    given = {"oid": relation.oid}
    rows = connection.execute(_COLUMNS, given).all()
    numbers = {row.number: row.name for row in rows}
    return FoundTable(
        columns={row.name: _column(row) for row in rows},
        unique=frozenset(tuple(row.columns) for row in connection.execute(_UNIQUE, given)),
        partition_key=tuple(numbers.get(number, "") for number in relation.key_numbers)
        if relation.partitioned
        else None,
        rules=tuple(connection.execute(_RULES, given).scalars()),
        kind=relation.kind,
        size=connection.execute(_SIZE, given).scalar_one(),
    )


def exists(connection: sa.Connection, kind: str, name: str) -> bool:
    """Whether there is a ``type`` or a ``namespace`` of that name, given as in SQL."""
    statement = sa.text(f"SELECT to_reg{kind}(:name) IS NOT NULL")
    return bool(connection.execute(statement, {"name": name}).scalar_one())


def _column(row: sa.Row[tuple[object, ...]]) -> FoundColumn:
    found = parts(spelled(row.type))
    return FoundColumn(
        name=row.name,
        type=found
        if row.built_in and found.base in BASES
        else TypeParts(row.own, (), row.is_array),
        not_null=row.not_null,
        filled=row.has_default or row.identity != "",
        generated=row.generated,
        identity=row.identity,
        domain=row.domain,
    )
