"""Append into tables that no unique index can span: the record ids are in a table of ours.

A record is stored if its id is new there, in the same transaction. One that comes again moves its
id to where it was read last, because the operator forgets ids below the start of the records topic.
"""

from typing import Final

from sluice_api.sink import PostgresSink, RecordIds, WriteMode
from sluice_workers.write.offsets import Owner

PLACE: Final = {"sluice.partition": "integer", "sluice.offset": "bigint"}
"""The buffer's columns that tell where a record was read; no column of a mapping begins so."""
_APPEND: Final = """
    WITH again AS (
      UPDATE sluice.record_ids AS known
      SET generation = $2, partition = read."sluice.partition", record_offset = read."sluice.offset"
      FROM {buffer} AS read WHERE known.job_uid = $1 AND known.record_id = read.{own}
    ), new AS (
      INSERT INTO sluice.record_ids (job_uid, record_id, generation, partition, record_offset)
      SELECT $1, {own}, $2, "sluice.partition", "sluice.offset" FROM {buffer} ORDER BY {own}
      ON CONFLICT (job_uid, record_id) DO NOTHING RETURNING record_id
    )
    INSERT INTO {table} ({columns})
    SELECT {values} FROM {buffer} WHERE {own} IN (SELECT record_id FROM new)
"""


def apart(sink: PostgresSink) -> bool:
    """Whether a sink's record ids are in our table instead of a column of its own."""
    return sink.mode is WriteMode.APPEND and sink.record_ids is RecordIds.APART


def append(*, table: str, columns: str, values: str, buffer: str, own: str) -> str:
    """Return the statement that stores what is new of the buffer; all names are quoted."""
    return _APPEND.format(table=table, columns=columns, values=values, buffer=buffer, own=own)


def arguments(sink: PostgresSink, owner: Owner) -> tuple[object, ...]:
    """Return what the merge is executed with: the owner of the ids, where they are apart."""
    return (owner.job_uid, owner.generation) if apart(sink) else ()
