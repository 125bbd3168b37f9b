"""Records through a session of the writer's into a real Postgres, without a broker."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from messages import Received
from sluice_api.sink import PostgresSink
from sluice_workers import wire
from sluice_workers.write.database import connect
from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.pool import Pool
from sluice_workers.write.row import Row, RowParser
from sluice_workers.write.session import Session


@asynccontextmanager
async def opened(uri: str, sink: PostgresSink) -> AsyncIterator[Session]:
    async def reopen() -> Any:
        return await connect(uri, "sluice/test")

    found = Session(Pool(reopen), sink, "sluice/test")
    try:
        yield found
    finally:
        await found.close()


def row(parser: RowParser, record: str, item: str, *, partition: int = 0, offset: int = 0) -> Row:
    headers = ((wire.ITEM, item.encode()), (wire.ORDINAL, b"0"), (wire.VERSION, b"1"))
    return parser.parse(Received(record.encode(), partition, offset, headers=headers))


async def write(
    uri: str, sink: PostgresSink, owner: Owner, rows: Sequence[Row], *, merge: bool = True
) -> None:
    """Commit rows as one batch of partition 0: merged, or inserted where that can be."""
    async with opened(uri, sink) as session:
        positions = await session.claim(owner, {0: 0})
        await commit(session, owner, positions, rows, merge=merge)


async def commit(
    session: Session,
    owner: Owner,
    positions: Mapping[int, Position],
    rows: Sequence[Row],
    *,
    merge: bool = True,
) -> None:
    async with session.transaction(owner, insert=not merge) as transaction:
        await transaction.write(rows)
        await transaction.advance(owner, positions, {0: positions[0].next_offset + len(rows)})
