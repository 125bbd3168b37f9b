"""The items: several of a key, some that fail for good, some a few times; pure and seeded."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sluice_workers import wire

KEYS: Final = 150
BAD: Final = 0.03
FLAKY: Final = 0.1
"""Shares of what fails for good, and of what fails twice."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item; the numbers of a key's items grow."""

    number: int
    key: str
    kind: str
    """What the API makes of it: ``good``, ``bad`` or ``flaky``."""

    @property
    def id(self) -> str:
        """Its own among all items."""
        return str(self.number)

    @property
    def value(self) -> bytes:
        """The message's value."""
        return json.dumps({"number": self.number, "kind": self.kind}).encode()

    @property
    def headers(self) -> wire.Headers:
        """The message's headers."""
        return ()


def stream(seed: int) -> Iterator[list[Item]]:
    """Yield items for ever, one by one."""
    chance, number = random.Random(seed), 0
    while True:
        drawn = chance.random()
        kind = "bad" if drawn < BAD else "flaky" if drawn < BAD + FLAKY else "good"
        yield [Item(number, f"key-{chance.randrange(KEYS)}", kind)]
        number += 1
