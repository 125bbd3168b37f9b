"""The tables of the schema ``sluice``: what every revision leads to."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
)

from sluice_api.names import DATABASE_SCHEMA

METADATA: Final = MetaData(schema=DATABASE_SCHEMA)

OFFSETS: Final = Table(
    "offsets",
    METADATA,
    Column("job_uid", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("job", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="The next record of each partition, committed with the rows before it.",
)

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("job_uid", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("seeded_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    Column("items", BigInteger),
    Column("records", BigInteger),
    Column("failed", BigInteger),
    comment="The history of runs, for people.",
)

RECORD_IDS: Final = Table(
    "record_ids",
    METADATA,
    Column("job_uid", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Index("record_ids_position", "job_uid", "generation", "partition", "record_offset"),
    comment="Records of jobs that keep their ids apart, for as long as they can be replayed.",
)

BUFFER: Final = Table(
    "buffer",
    METADATA,
    Column("job_uid", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("first_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("records", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column(
        "appended_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("body", LargeBinary, nullable=False),
    comment="Chunks of records, one partition each: appended with their offsets, then merged.",
)

SLICES: Final = Table(
    "slices",
    METADATA,
    Column("job_uid", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    comment="A row for each partition in the buffer: who merges it holds the row's lock.",
)
