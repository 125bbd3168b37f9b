"""What succeeded is told before the last offsets are committed, also when telling is broken off."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from sluice_workers.fetch.item import Item, read_item
from sluice_workers.fetch.recoveries import Recoveries
from sluice_workers.settings import Topic


class _Silent:
    """A failed set that answers only the second time."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, int]] = []

    async def take_out(self, succeeded: Mapping[str, int]) -> None:
        self.asked.append(succeeded)
        if len(self.asked) == 1:
            await asyncio.Event().wait()


def _item(offset: int, key: bytes) -> Item:
    topic = Topic(name="items", generation=1)
    return read_item(topic, partition=0, offset=offset, key=key, value=b"", headers=())


async def test_what_was_broken_off_is_told_again_with_what_is_newer() -> None:
    failures = _Silent()
    recoveries = Recoveries(cast("Any", failures))
    recoveries.note(old := _item(1, b"old"))
    telling = asyncio.create_task(recoveries.tell())
    await asyncio.sleep(0)
    recoveries.note(new := _item(2, b"new"))
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await recoveries.tell()
    assert failures.asked == [
        {"old": old.version},
        {"old": old.version, "new": new.version},
    ]
