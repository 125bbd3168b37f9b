"""What the test produces: items with records, replays, duplicates; pure and seeded."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sluice_workers import wire

GENERATION: Final = 7
KEYS: Final = 300
"""Item keys, each with a row of its own in an upserted table."""
SHARED_ROWS: Final = 40
"""Rows that items of any key write, so that writers of several partitions meet there."""
REPLAYED: Final = 0.15
REPEATED: Final = 0.10
BAD: Final = 0.004
"""Shares of what is produced."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record; produced again it is the same in all."""

    number: int
    """Its own among all records: the payload."""
    key: str
    """The item key, which decides the partition."""
    item: str
    ordinal: int
    version: int
    row: int
    """The key of the row that it becomes."""
    bad: bool = False
    """Whether no column takes it: it belongs to the dead topic."""

    @property
    def id(self) -> str:
        """The record id."""
        return wire.record_id(self.item, self.ordinal)

    @property
    def value(self) -> bytes:
        """The message's value."""
        row: object = self.row
        if self.bad:
            # One half is no row, and the other one is refused by the database alone.
            row = "no number" if self.row % 2 else -1 - self.row
        return json.dumps({"row": row, "number": self.number}).encode()

    @property
    def headers(self) -> wire.Headers:
        """The message's headers."""
        found = (
            (wire.ITEM, self.item),
            (wire.ORDINAL, str(self.ordinal)),
            (wire.VERSION, str(self.version)),
            (wire.GENERATION, str(GENERATION)),
        )
        return tuple((name, text.encode()) for name, text in found)


Item = tuple[Record, ...]


def stream(seed: int) -> Iterator[Item]:
    """Yield items for ever: new ones, and some that were there before, whole."""
    chance = random.Random(seed)
    made: list[Item] = []
    while True:
        drawn = chance.random()
        if made and drawn < REPLAYED:
            yield chance.choice(made)
        elif made and drawn < REPLAYED + REPEATED:
            yield made[-1]
        else:
            made.append(_item(len(made), chance))
            yield made[-1]


def _item(offset: int, chance: random.Random) -> Item:
    """Make an item as a fetcher would: no two of its records become the same row."""
    bad = chance.random() < BAD
    owner = chance.randrange(KEYS)
    shared = chance.sample(range(KEYS, KEYS + SHARED_ROWS), k=chance.choice((0, 0, 1, 2)))
    rows = [owner] if bad else [owner, *shared]
    return tuple(
        Record(
            number=offset * 10 + ordinal,
            key=f"bad-{owner}" if bad else f"key-{owner}",
            item=f"run/{offset}",
            ordinal=ordinal,
            version=wire.record_version(GENERATION, offset),
            row=row,
            bad=bad,
        )
        for ordinal, row in enumerate(rows)
    )
