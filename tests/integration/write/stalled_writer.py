"""A writer's transaction that stops itself with SIGSTOP: in COPY, before or after the offsets move.

``python stalled_writer.py POINT URI EPOCH < settings.json``; prints how the transaction ended.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from sluice_api.sink import PostgresSink
from sluice_workers.write.database import connect
from sluice_workers.write.offsets import Owner, Position
from sluice_workers.write.pool import Pool
from sluice_workers.write.session import Session

OWNER = Owner("u", "ns/j", 7)
APPLICATION = "sluice/ns/j"
ROWS = 50_000


class StoppingRows(list[Any]):
    """Rows that stop the process when half of them were sent."""

    def __iter__(self) -> Iterator[Any]:
        for place, row in enumerate(super().__iter__()):
            if place == len(self) // 2:
                stop()
            yield row


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


async def main(point: str, uri: str, epoch: int) -> None:
    async def opened() -> Any:
        return await connect(uri, APPLICATION)

    sink = PostgresSink.model_validate_json(sys.stdin.read())
    session = Session(Pool(opened), sink, APPLICATION)
    rows = [(number, "stalled", b"{}", None, 1) for number in range(ROWS)]
    try:
        async with session.transaction(OWNER, insert=True) as transaction:
            await transaction.write(StoppingRows(rows) if point == "copy" else rows)
            if point == "copied":
                stop()
            await transaction.advance(OWNER, {0: Position(0, epoch)}, {0: ROWS})
            if point == "advanced":
                stop()
    except Exception as error:  # noqa: BLE001
        sys.stdout.write(type(error).__name__)
    else:
        sys.stdout.write("committed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
