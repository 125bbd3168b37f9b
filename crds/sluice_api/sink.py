"""The table that records end in."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from sluice_api.archive import Archive
from sluice_api.column_type import ColumnType
from sluice_api.identifiers import NAME, QUALIFIED, quoted
from sluice_api.model import Model, rule, rules
from sluice_api.references import SecretKeyReference


class WriteMode(StrEnum):
    """What a record does to a row that is already there."""

    UPSERT = "Upsert"
    APPEND = "Append"


class Encoding(StrEnum):
    """How a record's text stands for bytes."""

    BASE64 = "Base64"
    HEX = "Hex"


class RecordIds(StrEnum):
    """Where the ids are kept by which Append stores each record once."""

    COLUMN = "Column"
    APART = "Apart"


class Buffer(StrEnum):
    """Where records are between the topic and the table."""

    TRANSACTIONAL = "Transactional"
    DURABLE = "Durable"


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
            ),
            rule(
                "self.encoding == 'Base64' || self.type.startsWith('bytea')",
                "'is for columns of type bytea, found type ' + self.type",
                field=".encoding",
            ),
        )
    )

    type: ColumnType
    """The column's Postgres type: a built-in one such as bigint, numeric(10,2) or timestamptz, one
    of your own with its schema such as public.mood, or an array of one such as text[]."""
    path: str | None = Field(
        default=None,
        max_length=512,
        pattern=r"^\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\]|\['[^'\\]*'\])*$",
    )
    """Where the value is in the record: $ for all of it, or members and indexes such as
    $.address.lines[0] or $['first name']; the member of the column's own name when neither path nor
    metadata is given."""
    metadata: Metadata | None = None
    """Fills the column with the item key, the item id, the record id or the time of the fetch."""
    nullable: bool = True
    """Whether a record without the value is stored as NULL; otherwise it goes to the dead topic."""
    encoding: Encoding = Encoding.BASE64
    """How bytes are written in the record, when type is bytea."""


class Migrations(Model):
    """What a migration may do besides what loses nothing."""

    drop: tuple[str, ...] = Field(
        default=(), max_length=64, json_schema_extra={"itemMaxLength": 63}
    )
    """Columns of a managed table that are dropped, with what is in them; one that is not there is
    passed over."""
    narrow: tuple[str, ...] = Field(
        default=(), max_length=64, json_schema_extra={"itemMaxLength": 63}
    )
    """Columns of a managed table whose type may change to one that does not hold all values of the
    old one; the migration fails, and changes nothing, when a value does not fit."""
    image: str | None = Field(default=None, min_length=1, max_length=512)
    """An image with revisions of your own in /opt/sluice/migrations, made from Sluice's: they are
    brought to their head before the table is checked. Needs manage to be false."""


class DurableBuffer(Model):
    """How much a durable buffer holds, and whom its mergers heed."""

    max_records: int = Field(default=1_000_000, ge=1_000, le=1_000_000_000)
    """Records that are buffered of the job, from which on its writers wait for the mergers; each
    writer may exceed it by one batch."""
    max_bytes: int = Field(default=1 << 30, ge=1 << 20, le=1 << 40)
    """Bytes of records, uncompressed, from which on they wait."""
    shared: bool = False
    """Whether other jobs write into the table too and say so: then one of all their mergers merges
    at a time, as long as their Redis answers."""


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
                "self.columns.all(name, name.size() > 0 && bytes(name).size() <= 63)",
                "'names must be of 1 to 63 bytes, found: %s'.format([self.columns.filter(name,"
                " name.size() == 0 || bytes(name).size() > 63)])",
                field=".columns",
            ),
            rule(
                "!self.columns.exists(name,"
                " name.startsWith('sluice.') || name.contains('\\u0000'))",
                "'names must not begin with sluice., which Sluice keeps, nor hold a NUL'",
                field=".columns",
            ),
            rule(
                "[self.versionColumn, self.recordIdColumn].all(name, bytes(name).size() <= 63)"
                " && self.table.split('.').all(name, bytes(name).size() <= 63)",
                "'table and its schema, versionColumn and recordIdColumn must have at most 63 bytes"
                " each'",
            ),
            rule(
                "!self.table.startsWith('sluice.')",
                "'must not be in the schema sluice, which Sluice keeps for itself, found \"'"
                " + self.table + '\"'",
                field=".table",
            ),
            rule(
                "!has(self.migrations.drop)"
                " || !self.migrations.drop.exists(name, name in self.columns)",
                "'must not name any of columns, found: %s'"
                ".format([self.migrations.drop.filter(name, name in self.columns)])",
                field=".migrations.drop",
            ),
            rule(
                "!has(self.migrations.narrow)"
                " || self.migrations.narrow.all(name, name in self.columns)",
                "'each must be one of columns, not found there: %s'"
                ".format([self.migrations.narrow.filter(name, !(name in self.columns))])",
                field=".migrations.narrow",
            ),
            rule(
                "!self.manage || !has(self.migrations.image)",
                "'must be false when migrations.image is given: your revisions make the table'",
                field=".manage",
            ),
            rule(
                "self.mode == 'Append' || self.recordIds == 'Column'",
                "'must be Column when mode is Upsert, which knows rows by their key'",
                field=".recordIds",
            ),
            rule(
                "self.buffer == 'Durable' || !has(self.durable)",
                "'is for buffer Durable, found buffer ' + self.buffer",
                field=".durable",
            ),
            rule(
                "self.buffer == oldSelf.buffer",
                "'cannot change after creation, found ' + self.buffer + ', it was '"
                " + oldSelf.buffer + ': create another job'",
                field=".buffer",
            ),
            rule(
                "self.table == oldSelf.table && self.mode == oldSelf.mode"
                " && has(self.key) == has(oldSelf.key)"
                " && (!has(self.key) || self.key == oldSelf.key)"
                " && self.versionColumn == oldSelf.versionColumn"
                " && self.recordIdColumn == oldSelf.recordIdColumn"
                " && self.recordIds == oldSelf.recordIds",
                "'table, mode and key cannot change after creation, nor can versionColumn,"
                " recordIdColumn and recordIds: create another job'",
            ),
        )
    )

    secret_ref: SecretKeyReference
    """The Secret that holds the connection URI."""
    table: str = Field(max_length=127, pattern=QUALIFIED)
    """The table, with its schema, such as public.users; both as they are, without quotes and in
    their own case."""
    mode: WriteMode = WriteMode.UPSERT
    """Upsert keeps the newest record of each key; Append keeps every record once."""
    key: tuple[str, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={
            "itemMaxLength": 63,
            **rules(
                rule(
                    "self.all(name, self.exists_one(other, other == name))",
                    "'must name each column once, found more than once: %s'.format("
                    "[self.filter(name, !self.exists_one(other, other == name))])",
                )
            ),
        },
    )
    """The columns that identify a row, when mode is Upsert."""
    columns: dict[str, Column] = Field(min_length=1, max_length=256)
    """The columns that records fill, by name, each as it is: without quotes, in its own case."""
    version_column: str = Field(default="_sluice_version", max_length=63, pattern=NAME)
    """A bigint column that keeps an older record from overwriting a newer one (Upsert)."""
    record_id_column: str = Field(default="_sluice_record_id", max_length=63, pattern=NAME)
    """A unique text column that keeps a record from being stored twice (Append)."""
    record_ids: RecordIds = RecordIds.COLUMN
    """Where record ids are kept (Append): in recordIdColumn, or apart in sluice.record_ids, for
    tables that cannot have a unique index on it because they are partitioned."""
    buffer: Buffer = Buffer.TRANSACTIONAL
    """Transactional merges a batch in the transaction that commits its offsets; Durable commits it
    to a logged table at once and merges it into the target afterwards, for targets that are slow
    to merge into or that several jobs write."""
    durable: DurableBuffer | None = None
    """How much the durable buffer holds, when buffer is Durable; its defaults unless given."""
    manage: bool = True
    """Whether the table is created, and changed as columns change, before the first row is written;
    otherwise it must exist and fit."""
    migrations: Migrations = Migrations()
    """What a migration may do besides what loses nothing."""

    @property
    def place(self) -> tuple[str, str]:
        """The table's schema and its name."""
        schema, _, name = self.table.partition(".")
        return schema, name

    @property
    def quoted_table(self) -> str:
        """The table as statements name it."""
        return quoted(*self.place)

    @property
    def durable_buffer(self) -> DurableBuffer | None:
        """The bounds of the durable buffer; None when the buffer is transactional."""
        return (self.durable or DurableBuffer()) if self.buffer is Buffer.DURABLE else None

    @property
    def bookkeeping(self) -> tuple[str, str] | None:
        """The column that Sluice itself fills, and its type; None when record ids are apart."""
        if self.mode is WriteMode.UPSERT:
            return self.version_column, "bigint"
        return None if self.record_ids is RecordIds.APART else (self.record_id_column, "text")

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that a unique index must be on; empty when record ids are apart."""
        if self.mode is WriteMode.UPSERT:
            return self.key
        return () if self.record_ids is RecordIds.APART else (self.record_id_column,)


class Sink(Model):
    """Where records end."""

    postgres: PostgresSink
    """A Postgres table."""
    archive: Archive | None = None
    """Where the raw records are kept as well, to be replayed."""
