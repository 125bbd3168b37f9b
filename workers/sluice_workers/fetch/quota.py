"""What an API's headers say of its quota; pure.

Read are ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers, structured or as ``key=value``),
``RateLimit-Remaining`` with ``RateLimit-Reset`` of its earlier drafts, and the ``X-RateLimit-…``
that most APIs send, whose reset is seconds from now or an epoch.
"""

import re
from collections.abc import Mapping
from typing import Final

EPOCH: Final = 1_000_000_000
"""A reset from here on is no number of seconds to wait but a moment."""
MILLISECONDS: Final = 100_000_000_000
LONGEST: Final = 24 * 3600.0
"""Seconds that a job rests at the most for one header."""
_REMAINING: Final = re.compile(r"(?:^|[;,\s])(?:r|remaining)\s*=\s*(\d+)")
_RESET: Final = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d+)")
_NUMBER: Final = re.compile(r"\s*(\d+(?:\.\d+)?)")


def exhausted_for(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the quota is there again; None while some is left or nothing is said of it.

    ``headers`` looks names up whatever their case; ``now`` is Unix time in seconds.
    """
    combined = headers.get("ratelimit", "")
    found = [
        (_first(_REMAINING, combined), _first(_RESET, combined)),
        *(
            (_first(_NUMBER, headers.get(f"{name}-remaining", "")),
             _first(_NUMBER, headers.get(f"{name}-reset", "")))
            for name in ("ratelimit", "x-ratelimit", "x-rate-limit")
        ),
    ]  # fmt: skip
    waits = [
        _seconds(reset, now)
        for remaining, reset in found
        if remaining is not None and reset is not None and remaining < 1
    ]
    return max(waits, default=None)


def _first(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    return float(match[1]) if match else None


def _seconds(reset: float, now: float) -> float:
    if reset >= MILLISECONDS:
        reset /= 1000
    wait = reset - now if reset >= EPOCH else reset
    return min(max(0.0, wait), LONGEST)
