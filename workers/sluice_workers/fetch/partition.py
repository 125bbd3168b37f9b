"""The work on one partition: which offsets are taken, and the order of each key."""

from dataclasses import dataclass, field

from sluice_workers.fetch.item import Item
from sluice_workers.fetch.lanes import Lanes
from sluice_workers.fetch.ledger import Ledger


@dataclass(slots=True)
class Partition:
    """One partition for as long as it stays with this member."""

    ledger: Ledger
    lanes: Lanes["Work"] = field(default_factory=Lanes)
    lost: bool = False
    """Whether it went to another member: then nothing of it is started any more."""


@dataclass(slots=True)
class Work:
    """One item on its way."""

    item: Item
    partition: Partition
    attempts: int = 0
    refusals: int = 0
    """How often the API said that it was asked too often."""
    spent: float = 0.0
    """Seconds of its attempts and of the waits between them."""
