"""Whether the next batch is tried without a merge: rows that are all new need none. Pure."""

from dataclasses import dataclass
from typing import Final

LONGEST: Final = 256
"""Batches that are merged at the most before the next try."""


@dataclass(frozen=True, slots=True)
class Route:
    """Tries inserting as long as it goes well; after each failure it rests twice as long.

    A failure leaves dead rows in the table, a batch of them at the most; so at most one batch in
    ``LONGEST`` does where rows are updated all the time.
    """

    rest: int = 0
    """Batches to merge before the next try."""
    failures: int = 0
    """Tries that failed one after the other."""

    @property
    def insert(self) -> bool:
        """Whether to try."""
        return self.rest == 0

    def went(self, inserted: bool) -> "Route":
        """Return what follows from a batch that was committed."""
        if inserted:
            return Route()
        if self.rest > 0:
            return Route(self.rest - 1, self.failures)
        failures = self.failures + 1
        return Route(min(2**failures, LONGEST), failures)
