"""From JSON values to what asyncpg's binary COPY takes, one function a column type.

Each takes a value that is not None and raises ``ValueError`` when it does not fit the type.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import orjson

from sluice_api.sink import ColumnType

Converter = Callable[[Any], Any]

MILLISECONDS_FROM: Final = 100_000_000_000
"""Numbers from here on are epoch milliseconds: as seconds they would be after the year 5000."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUL_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def text(value: Any) -> str:
    """Return a string as it is, anything else as its JSON; NUL is refused, as Postgres does."""
    found = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    if "\0" in found:
        raise ValueError("holds a NUL character, which Postgres cannot store")
    return found


def boolean(value: Any) -> bool:
    """Take true and false only."""
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def integer(bits: int) -> Converter:
    """Return the converter of an integer type; whole floats and strings of digits fit too."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise ValueError("is not a whole number")
        found = int(value)
        if not isinstance(value, str) and found != value:
            raise ValueError("is not a whole number")
        if not low <= found <= high:
            raise ValueError(f"is not between {low} and {high}")
        return found

    return convert


def floating(value: Any) -> float:
    """Take numbers, and strings of numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("is not a number")
    return float(value)


def numeric(value: Any) -> Decimal:
    """Take numbers, and strings of numbers, digit for digit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("is not a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("is not a number") from None


def calendar_date(value: Any) -> date:
    """Take ISO 8601 dates, and the date of ISO 8601 times."""
    if not isinstance(value, str):
        raise ValueError("is not an ISO 8601 date")
    return datetime.fromisoformat(value).date()


def instant(value: Any) -> datetime:
    """Take ISO 8601 times (UTC where they name no zone) and epoch seconds or milliseconds."""
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is neither an ISO 8601 time nor a number of seconds")
    seconds = float(value)
    if abs(seconds) >= MILLISECONDS_FROM:
        seconds /= 1000
    # Plain arithmetic, for the C library's gmtime fails in more ways than one.
    return EPOCH + timedelta(seconds=seconds)


def local_time(value: Any) -> datetime:
    """Take what :func:`instant` takes; a zone is converted to UTC and dropped."""
    return instant(value).astimezone(UTC).replace(tzinfo=None)


def uuid(value: Any) -> UUID:
    """Take the text of a UUID."""
    if not isinstance(value, str):
        raise ValueError("is not the text of a UUID")
    return UUID(value)


def json(value: Any) -> bytes:
    """Return the value's JSON. The escape of NUL, which jsonb refuses, is refused."""
    found = orjson.dumps(value, default=_number)
    if b"\\u0000" in found and _NUL_ESCAPE.search(found):
        raise ValueError("holds a NUL character, which jsonb cannot store")
    return found


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


def array(element: Converter) -> Converter:
    """Return the converter of an array of elements; null is an element like others."""

    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("is not a list")
        return [None if each is None else element(each) for each in value]

    return convert


CONVERTERS: Final[dict[ColumnType, Converter]] = {
    ColumnType.TEXT: text,
    ColumnType.BOOLEAN: boolean,
    ColumnType.SMALLINT: integer(16),
    ColumnType.INTEGER: integer(32),
    ColumnType.BIGINT: integer(64),
    ColumnType.REAL: floating,
    ColumnType.DOUBLE: floating,
    ColumnType.NUMERIC: numeric,
    ColumnType.DATE: calendar_date,
    ColumnType.TIMESTAMP: local_time,
    ColumnType.TIMESTAMPTZ: instant,
    ColumnType.UUID: uuid,
    ColumnType.JSONB: json,
    ColumnType.TEXT_ARRAY: array(text),
    ColumnType.BIGINT_ARRAY: array(integer(64)),
    ColumnType.DOUBLE_ARRAY: array(floating),
}
