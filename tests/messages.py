"""Messages of a records topic as the broker's client gives them, for unit tests."""

from dataclasses import dataclass

from sluice_workers import wire


@dataclass
class Received:
    value: bytes | None = b"{}"
    partition: int = 0
    offset: int = 0
    key: bytes | None = b"k"
    headers: wire.Headers = ((wire.ITEM, b"r/k"), (wire.ORDINAL, b"2"), (wire.VERSION, b"77"))
    timestamp: int = 1_700_000_000_000
