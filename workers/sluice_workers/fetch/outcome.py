"""What asking the API for one item can come to; values only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from sluice_workers.wire import FailureReason

MAX_MESSAGE: Final = 4096
"""Characters of a message that are kept: what it quotes may be as long as an answer."""

RECORD_OVERHEAD: Final = 256
"""Bytes that a record holds until the broker has it, besides its own (measured: 264)."""


def size_of(records: Iterable[bytes]) -> int:
    """Return the bytes that records count for against the bound of their item."""
    return sum(len(record) + RECORD_OVERHEAD for record in records)


def legible(text: str, most: int = MAX_MESSAGE) -> str:
    """Return text cut to a length, as every encoder takes it.

    Bytes of an answer's head that are no UTF-8 come as lone surrogates, which none does.
    """
    found = text.encode(errors="backslashreplace").decode()
    return found if len(found) <= most else found[: most - 1] + "…"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The records of one item, read to the last."""

    records: tuple[bytes, ...]
    """Each a JSON object."""
    at: datetime
    """When they were fetched."""
    rest: float | None = None
    """Seconds until the API's quota is there again, if it says that none is left."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that brought no records."""

    reason: FailureReason
    message: str
    status: int | None = None
    retry_after: float | None = None
    """Seconds that the API asked to wait."""
    rest: float | None = None
    """Seconds until the API's quota is there again, if it says that none is left."""
    headers: tuple[tuple[str, str], ...] = ()
    """What of the answer's headers helps a person."""
    origin: str | None = None
    """Whom it was asked of; None when no request was made."""

    def __post_init__(self) -> None:
        """Keep the message legible, whoever wrote it."""
        object.__setattr__(self, "message", legible(self.message))

    @property
    def rate_limited(self) -> bool:
        """Whether the API refused only because it was asked too often."""
        if self.reason is FailureReason.HTTP_STATUS:
            # Some APIs, GitHub's for one, answer 403 until their quota is there again.
            waits = self.rest is not None or self.retry_after is not None
            forbidden = self.status == HTTPStatus.FORBIDDEN
            return self.status == HTTPStatus.TOO_MANY_REQUESTS or (forbidden and waits)
        return self.reason is FailureReason.RATE_LIMITED


@dataclass(frozen=True, slots=True)
class Again:
    """The item is to be tried again."""

    delay: float
    """Seconds to wait before."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The item is not tried again."""

    failure: Failure
    attempts: int
    """How often the API was asked."""
