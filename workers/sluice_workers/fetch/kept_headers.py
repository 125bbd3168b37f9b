"""What is kept of an answer's headers for the people who look at a dead item; pure."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from sluice_workers.fetch.outcome import legible

MAX_HEADERS: Final = 24
MAX_VALUE: Final = 256
"""Characters of a value that are kept."""
_SECRET: Final = ("auth", "cookie", "secret", "token")
"""Parts of names whose values are nobody's business."""

KeptHeaders = tuple[tuple[str, str], ...]


def kept_headers(headers: Mapping[str, str]) -> KeptHeaders:
    """Return names in lower case, and values, cut where they are long; none that may be secret."""
    named = ((name.lower(), value) for name, value in headers.items())
    kept = ((name, value) for name, value in named if not _secret(name))
    return tuple(
        (legible(name, MAX_VALUE), legible(value, MAX_VALUE))
        for name, value in islice(kept, MAX_HEADERS)
    )


def _secret(name: str) -> bool:
    return any(part in name for part in _SECRET)
