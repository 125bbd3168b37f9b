"""The table that records end in."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from sluice_api.model import Model, rule, rules
from sluice_api.references import SecretKeyReference


class WriteMode(StrEnum):
    """What a record does to a row that is already there."""

    UPSERT = "Upsert"
    APPEND = "Append"


class ColumnType(StrEnum):
    """The Postgres types that a column can have."""

    TEXT = "text"
    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    REAL = "real"
    DOUBLE = "double precision"
    NUMERIC = "numeric"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    JSONB = "jsonb"
    TEXT_ARRAY = "text[]"
    BIGINT_ARRAY = "bigint[]"
    DOUBLE_ARRAY = "double precision[]"


class Metadata(StrEnum):
    """What a column can hold besides a part of the record."""

    KEY = "Key"
    ITEM_ID = "ItemId"
    RECORD_ID = "RecordId"
    FETCHED_AT = "FetchedAt"


class Column(Model):
    """One column of the table, and the part of the record it is filled from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.path) && has(self.metadata))",
                "'path and metadata exclude each other, found path \"' + self.path"
                " + '\" and metadata \"' + self.metadata + '\"'",
            )
        )
    )

    type: ColumnType
    """The column's Postgres type."""
    path: str | None = Field(
        default=None, max_length=512, pattern=r"^\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])*$"
    )
    """Where the value is in the record: $ for all of it, or members and indexes such as
    $.address.lines[0]; the column's own name when neither path nor metadata is given."""
    metadata: Metadata | None = None
    """Fills the column with the item key, the item id, the record id or the time of the fetch."""
    nullable: bool = True
    """Whether a record without the value is stored as NULL; otherwise it goes to the dead topic."""


class PostgresSink(Model):
    """A Postgres table."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.mode != 'Upsert' || (has(self.key) && self.key.size() > 0)",
                "'must name at least one column when mode is Upsert'",
                field=".key",
            ),
            rule(
                "!has(self.key) || self.key.all(name, name in self.columns)",
                "'each must be one of columns, not found there: %s'"
                ".format([self.key.filter(name, !(name in self.columns))])",
                field=".key",
            ),
            rule(
                "!(self.versionColumn in self.columns || self.recordIdColumn in self.columns)",
                "'must not name versionColumn or recordIdColumn, which Sluice fills itself'",
                field=".columns",
            ),
            rule(
                "self.columns.all(name, name.matches('^[a-z_][a-z0-9_]{0,62}$'))",
                "'column names must match [a-z_][a-z0-9_]{0,62}'",
                field=".columns",
            ),
            rule(
                "!self.table.startsWith('sluice.')",
                "'must not be in the schema sluice, which Sluice keeps for itself, found \"'"
                " + self.table + '\"'",
                field=".table",
            ),
            rule(
                "self.table == oldSelf.table && self.mode == oldSelf.mode"
                " && has(self.key) == has(oldSelf.key)"
                " && (!has(self.key) || self.key == oldSelf.key)"
                " && self.versionColumn == oldSelf.versionColumn"
                " && self.recordIdColumn == oldSelf.recordIdColumn",
                "'table, mode and key cannot change after creation, nor can versionColumn and"
                " recordIdColumn: create another job'",
            ),
        )
    )

    secret_ref: SecretKeyReference
    """The Secret that holds the connection URI."""
    table: str = Field(max_length=127, pattern=r"^[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}$")
    """The table, with its schema, such as public.users."""
    mode: WriteMode = WriteMode.UPSERT
    """Upsert keeps the newest record of each key; Append keeps every record once."""
    key: tuple[str, ...] = Field(default=(), max_length=16, json_schema_extra={"itemMaxLength": 63})
    """The columns that identify a row, when mode is Upsert."""
    columns: dict[str, Column] = Field(min_length=1, max_length=256)
    """The columns that records fill, by name."""
    version_column: str = Field(default="_sluice_version", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """A bigint column that keeps an older record from overwriting a newer one (Upsert)."""
    record_id_column: str = Field(default="_sluice_record_id", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """A unique text column that keeps a record from being stored twice (Append)."""
    manage: bool = True
    """Whether the table is created, and missing columns added, before the first row is written;
    otherwise it must exist and fit."""


class Sink(Model):
    """Where records end."""

    postgres: PostgresSink
    """A Postgres table."""
