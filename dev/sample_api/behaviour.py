"""How the API answers: a pure function of the key, so that who asks can tell which keys fail."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final, Self


class Fault(StrEnum):
    """What is wrong with the answers for a key; each is the name of its share in `Behaviour`."""

    MISSING = "missing"
    """Always 404."""
    BROKEN = "broken"
    """Always 500."""
    UNREADABLE = "unreadable"
    """Always 200 with JSON that ends in the middle."""
    THROTTLED = "throttled"
    """429 with Retry-After, the first time."""
    UNAVAILABLE = "unavailable"
    """503, the first time."""
    GARBLED = "garbled"
    """200 with JSON that ends in the middle, the first time."""


LASTING: Final = frozenset({Fault.MISSING, Fault.BROKEN, Fault.UNREADABLE})
"""The faults that no repetition cures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """What can be tuned while the API runs. Shares are of the keys, between 0 and 1."""

    latency_ms: float = 40.0
    """Mean time to an answer."""
    jitter_ms: float = 20.0
    """How far from the mean an answer may come, evenly spread."""
    requests_per_second: float = 0.0
    """Requests above this many in a second are answered 429 with Retry-After; 0 for no limit."""
    missing: float = 0.0
    broken: float = 0.0
    unreadable: float = 0.0
    throttled: float = 0.0
    unavailable: float = 0.0
    garbled: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(f"{field.name} must not be negative")
        total = sum(share for _, share in self.shares())
        if total > 1:
            raise ValueError(f"the shares of faults must sum to at most 1, found {total}")

    def shares(self) -> list[tuple[Fault, float]]:
        """Each fault with the share of keys that have it."""
        return [(fault, getattr(self, fault.value)) for fault in Fault]

    def changed(self, values: Mapping[str, object]) -> Self:
        """The behaviour with some of its values replaced.

        Raises ``ValueError`` for a name that does not exist or a value that does not fit.
        """
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{unknown[0]} is not one of {', '.join(sorted(known))}")
        return replace(self, **{name: _number(name, value) for name, value in values.items()})


def fault(behaviour: Behaviour, key: str) -> Fault | None:
    """What is wrong with the answers for a key: each fault takes its share of the hash's range."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    end = 0.0
    for found, share in behaviour.shares():
        end += share
        if place < end:
            return found
    return None


def fault_of_request(behaviour: Behaviour, key: str, earlier: int) -> Fault | None:
    """What is wrong with one answer, given how many requests for the key came before it."""
    found = fault(behaviour, key)
    return found if found in LASTING or earlier == 0 else None


def _number(name: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError as error:
        raise ValueError(f"{name} must be a number, found {value!r}") from error
