"""What asking the API for one item can come to; values only."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sluice_workers.wire import FailureReason


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

    @property
    def rate_limited(self) -> bool:
        """Whether the API refused only because it was asked too often."""
        if self.reason is FailureReason.HTTP_STATUS:
            return self.status == HTTPStatus.TOO_MANY_REQUESTS
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
