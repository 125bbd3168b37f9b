"""What the messages on the topics look like: headers, ids and versions.

Items topic: key = item key; value = JSON object of the item's attributes, or empty.
Records topic: key = item key; value = JSON of one record.
Dead topic: key = item key; value = JSON of a :class:`DeadItem`.
All text is UTF-8, all numbers in headers are decimal ASCII.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from sluice_api.errors import DependencyError
from sluice_api.model import Model

Headers = tuple[tuple[str, bytes], ...]

RUN: Final = "sluice-run"
ITEM: Final = "sluice-item"
ORDINAL: Final = "sluice-ordinal"
VERSION: Final = "sluice-version"
GENERATION: Final = "sluice-generation"

OFFSET_BITS: Final = 33
MAX_GENERATION: Final = 2**30 - 1
GENERATION_EPOCH: Final = 1_767_225_600
"""2026-01-01T00:00:00Z in Unix seconds: where generations count from."""


class FailureReason(StrEnum):
    """Why an item or a record was given up."""

    HTTP_STATUS = "HttpStatus"
    TIMEOUT = "Timeout"
    CONNECTION = "ConnectionFailed"
    MALFORMED = "MalformedAnswer"
    TOO_LARGE = "AnswerTooLarge"
    INVALID_ITEM = "InvalidItem"
    INVALID_RECORD = "InvalidRecord"
    PROXY = "ProxyFailed"
    """The proxy, not the API; no item is given up for it."""
    NO_PERMIT = "NoPermit"
    """No connection could be opened at that moment; no item is given up for it."""
    HANDLER_ERROR = "HandlerError"
    """The user's own coroutine raised what it should not."""
    RETRIED = "Retried"
    """A rule of http.responses, or the user's own coroutine, asked for another attempt once too
    often."""
    RATE_LIMITED = "RateLimited"
    """The API was asked too often, by a rule of http.responses, until the deadline was over."""
    REFUSED = "AnswerRefused"
    """A rule of http.responses takes the answer for a failure."""
    AUTHENTICATION = "AuthenticationFailed"
    """The API refused the credentials, or the token endpoint gave none."""
    PAGINATION = "PaginationFailed"
    """The pages go in a loop, are too many, or the next one cannot be found."""
    REDIRECT = "RedirectRefused"
    """A redirect that leads astray, or is one too many."""
    FORBIDDEN_ADDRESS = "AddressForbidden"
    """A loopback or link-local address that the administrator did not allow."""
    TOO_SLOW = "AnswerTooSlow"
    """The answer came slower than http.minBytesPerSecond."""
    GIVEN_UP = "GivenUp"
    """The user's own coroutine said that another attempt would not help."""


class DeadItem(Model):
    """One item that was given up, as the dead topic holds it."""

    key: str
    """The item key."""
    item: str
    """The item id."""
    reason: FailureReason
    """Why, in one word."""
    message: str
    """Why, in a sentence."""
    status: int | None = None
    """The last HTTP status, if there was an answer."""
    attempts: int = 0
    """How often the API was asked."""
    failed_at: datetime
    """When it was given up."""
    value: str | None = None
    """The item's attributes, or the record that could not be stored, as JSON text.

    None where there are none, and where with them the message would be longer than brokers take.
    """


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


def header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """The text of the first header of that name, or None."""
    return next((value.decode() for key, value in headers if key == name), None)


def refuse_other_generation(topic: str, headers: Iterable[tuple[str, bytes]], wanted: int) -> None:
    """Raise ``DependencyError`` for a message of another generation than the topic's."""
    found = header(headers, GENERATION)
    if found is not None and found != str(wanted):
        raise DependencyError(
            "TopicRecreated",
            f"topic {topic} holds records of generation {found}, wanted {wanted}: it was made anew"
            " behind the operator's back",
        )
