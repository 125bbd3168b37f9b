"""Records as APIs answer them: JSON of about 200 bytes and of about 2 KB."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from sluice_workers import wire
from sluice_workers.producer import Message

SIZES: Final = ("200", "2000")
"""About how many bytes a record's JSON has."""
ORDERS: Final = 13
"""Orders that the long record holds."""
_FIRST: Final = ("Ada", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Radia", "Tony")
_LAST: Final = ("Dijkstra", "Hoare", "Hopper", "Lamport", "Liskov", "Lovelace", "Perlman")
_COUNTRIES: Final = ("Brazil", "Denmark", "Ghana", "Japan", "Kenya", "Norway", "Peru")
_STATES: Final = ("open", "paid", "packed", "shipped", "returned")
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def message(size: str, number: int) -> Message:
    """Return a record's message, with the headers that fetchers give it; the same each time."""
    headers = (
        (wire.ITEM, b"3f2a9c1e-1/%d" % number),
        (wire.VERSION, str(number).encode()),
        (wire.GENERATION, b"28339201"),
        (wire.ORDINAL, b"0"),
    )
    return Message(str(number).encode(), orjson.dumps(document(size, number)), headers)


def document(size: str, number: int) -> dict[str, Any]:
    """Return a user, in the long record with orders."""
    chance = random.Random(number)
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    user = {
        "id": number,
        "uuid": _uuid(chance),
        "name": f"{first} {last}",
        "email": f"{first.lower()}.{chance.randrange(10_000)}@example.org",
        "country": chance.choice(_COUNTRIES),
        "active": chance.choice((True, True, True, False)),
        "score": round(chance.gauss(50, 20), 2),
        "updated_at": _time(chance),
    }
    if size == SIZES[0]:
        return user
    return {**user, "orders": [_order(chance) for _ in range(ORDERS)]}


def _order(chance: random.Random) -> dict[str, Any]:
    return {
        "order": _uuid(chance),
        "state": chance.choice(_STATES),
        "cents": chance.randrange(100_000),
        "pieces": chance.randrange(1, 9),
        "at": _time(chance),
        "note": None,
    }


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _time(chance: random.Random) -> str:
    return (_START + timedelta(seconds=chance.randrange(20_000_000))).isoformat()
