"""What the messages on the topics look like: headers, ids and versions.

Items topic: key = item key; value = JSON object of the item's attributes, or empty.
Records topic: key = item key; value = JSON of one record.
Dead topic: key = item key; value = JSON of a :class:`DeadItem`; its id, version, reason and, for a
refused record, ordinal are headers too. A message without a value is a mark: that a later item of
the key succeeded (``sluice-recovered``), or that an item was put back (``sluice-redrive``).
All text is UTF-8, all numbers in headers are decimal ASCII.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import orjson
from pydantic import Field

from sluice_api import failure
from sluice_api.errors import DependencyError
from sluice_api.model import Model

Headers = tuple[tuple[str, bytes], ...]
FailureReason = failure.FailureReason

OURS: Final = "sluice-"
"""How the names of all headers begin that Sluice sets; others are the users' own."""

RUN: Final = "sluice-run"
ITEM: Final = "sluice-item"
ORDINAL: Final = "sluice-ordinal"
VERSION: Final = "sluice-version"
GENERATION: Final = "sluice-generation"
REASON: Final = "sluice-reason"
RECOVERED: Final = "sluice-recovered"
"""The version of the item that succeeded."""
REDRIVE: Final = "sluice-redrive"
"""The id of the redrive that put the item back."""

OFFSET_BITS: Final = 33
_PLACE: Final = re.compile(r"[0-9]+-([0-9]+)-[0-9]+")
MAX_GENERATION: Final = 2**30 - 1
GENERATION_EPOCH: Final = 1_767_225_600
"""2026-01-01T00:00:00Z in Unix seconds: where generations count from."""


class DeadItem(Model):
    """One item that was given up, as the dead topic holds it."""

    key: str
    """The item key."""
    item: str
    """The item id."""
    version: int
    """The item's version: a later success has a greater one."""
    ordinal: int | None = None
    """Which of the item's records could not be stored; None when the item itself was given up."""
    reason: FailureReason
    """Why, in one word."""
    message: str
    """Why, in a sentence."""
    status: int | None = None
    """The last HTTP status, if there was an answer."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of that answer, without those that may hold secrets; long ones are cut."""
    attempts: int = 0
    """How often the API was asked."""
    failed_at: datetime
    """When it was given up."""
    value: str | None = None
    """The item's attributes, or the record that could not be stored, as JSON text.

    None where there are none, and where with them the message would be longer than brokers take.
    """
    whole: bool = True
    """Whether the item can be put back from this: ``value`` is its value, to the last byte."""


def json_text(value: object) -> bytes:
    """Return JSON text that holds no more memory than it needs. Raises ``TypeError``.

    The library's own holds the 4 KiB that it is written into for as long as it lives.
    """
    return bytes(memoryview(orjson.dumps(value)))


def item_id(*, run: str | None, key: str, generation: int, partition: int, offset: int) -> str:
    """The identity of an item: its run and key when it was seeded, else its place in the topic."""
    return f"{run}/{key}" if run is not None else f"{generation}-{partition}-{offset}"


def record_id(item: str, ordinal: int) -> str:
    """The identity of a record: its item and its place among the item's records, from 0."""
    return f"{item}#{ordinal}"


def record_version(generation: int, offset: int) -> int:
    """The version of an item's records: a bigint that orders all items of one key.

    The upper 30 bits hold the generation of the items topic, the lower 33 the item's offset.
    Raises ``ValueError`` when either does not fit.
    """
    if not 0 <= generation <= MAX_GENERATION:
        raise ValueError(f"generation must be between 0 and {MAX_GENERATION}, found {generation}")
    if not 0 <= offset < 2**OFFSET_BITS:
        raise ValueError(f"offset must be between 0 and 2^{OFFSET_BITS} - 1, found {offset}")
    return generation << OFFSET_BITS | offset


def item_place(version: int) -> tuple[int, int]:
    """The generation and the offset of the item whose records have this version."""
    return divmod(version, 1 << OFFSET_BITS)


def item_partition(item: str) -> int | None:
    """The partition that an item id names; None for the id of a seeded item."""
    found = _PLACE.fullmatch(item)
    return int(found[1]) if found else None


def header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """The text of the first header of that name, or None; what is no UTF-8 is shown as it is."""
    found = (
        value.decode(errors="backslashreplace")
        for key, value in headers
        if key == name and value is not None
    )
    return next(found, None)


def refuse_other_generation(topic: str, headers: Iterable[tuple[str, bytes]], wanted: int) -> None:
    """Raise ``DependencyError`` for a message of another generation than the topic's."""
    found = header(headers, GENERATION)
    if found is not None and found != str(wanted):
        raise DependencyError(
            "TopicRecreated",
            f"topic {topic} holds messages of generation {found}, this job reads generation"
            f" {wanted}: the topic was made anew; delete the job and create it again",
        )
