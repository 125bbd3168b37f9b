"""From JSON values to what asyncpg's binary COPY takes, one function a column type.

Each takes a value that is not None and raises ``ValueError`` when it does not fit the type. Types
of the user's own and intervals travel as text, which Postgres itself reads in the merge.
"""

import base64
import binascii
import ipaddress
import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final
from uuid import UUID

import msgspec
import orjson

from sluice_api.column_type import TypeParts
from sluice_api.sink import Column, Encoding

Converter = Callable[[Any], Any]

MILLISECONDS_FROM: Final = 100_000_000_000
"""Numbers from here on are epoch milliseconds: as seconds they would be after the year 5000."""
MOST_DIGITS: Final = 131_072
"""Digits of a numeric before its point."""
EXACT: Final = 1 << 53
"""Below this a double holds each whole number."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUL_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SECONDS_BELOW: Final = 10**13
"""What an interval's 64 bits of microseconds do not hold."""
_MICROSECOND: Final = Decimal("0.000001")
_HALF_BEYOND: Final = re.compile("[.,][0-9]{6}[5-9]")
"""A fraction of a second that is half a microsecond or more beyond its sixth digit."""
_NUMBERS: Final = (int, float, str, Decimal)
"""Made once: a union would be made for each value, which costs more than the look at its type."""


def text(value: Any) -> str:
    """Return a string as it is, anything else as its JSON; NUL is refused, as Postgres does."""
    found = value if isinstance(value, str) else _dumped(value).decode()
    if "\0" in found:
        raise ValueError("holds a NUL character, which Postgres cannot store")
    return found


def limited(length: int) -> Converter:
    """Return the converter of varchar(n) and char(n): what is longer is refused, never cut."""

    def convert(value: Any) -> str:
        found = text(value)
        if len(found) > length:
            raise ValueError(f"is longer than {length} characters")
        return found

    return convert


def boolean(value: Any) -> bool:
    """Take true and false only."""
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def integer(bits: int) -> Converter:
    """Return the converter of an integer type; whole floats and strings of digits fit too."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def convert(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if isinstance(value, bool) or not isinstance(value, _NUMBERS):
            raise ValueError("is not a whole number")
        found = int(value) if isinstance(value, str) else value
        # Compared first: the digits of 1e999999999 as a whole number would take hours.
        if not low <= found <= high:
            raise ValueError(f"is not between {low} and {high}")
        if int(found) != found:
            raise ValueError("is not a whole number")
        if isinstance(found, float) and abs(found) >= EXACT:
            raise ValueError("is written with point or exponent, and not below 2^53")
        return int(found)

    return convert


def floating(value: Any) -> float:
    """Take numbers, and strings of numbers."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise ValueError("is not a number")
    found = float(value)
    if math.isinf(found) and not (isinstance(value, str) and "inf" in value.lower()):
        raise ValueError("is beyond what a double precision holds")
    return found


def numeric(value: Any) -> Decimal:
    """Take numbers, and strings of numbers, digit for digit."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise ValueError("is not a number")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("is not a number") from None
    if found.is_snan():
        raise ValueError("is not a number")
    if found.is_finite() and found and found.adjusted() >= MOST_DIGITS:
        # Its binary form would be that of another number.
        raise ValueError(f"is not below 10^{MOST_DIGITS}")
    return found


def bounded(precision: int, scale: int) -> Converter:
    """Return the converter of numeric(p,s): Postgres rounds to the scale, as it always does."""
    # What rounds to 10^(p-s) is as much too great as the power itself.
    with localcontext(prec=precision + 2):
        limit = Decimal(10) ** (precision - scale) - Decimal(5) * Decimal(10) ** -(scale + 1)

    def convert(value: Any) -> Decimal:
        found = numeric(value)
        if found.is_finite() and found.copy_abs() >= limit:
            raise ValueError(f"is not below 10^{precision - scale}")
        return found

    return convert


def calendar_date(value: Any) -> date:
    """Take ISO 8601 dates, and the date of ISO 8601 times."""
    if not isinstance(value, str):
        raise ValueError("is not an ISO 8601 date")
    return datetime.fromisoformat(value).date()


def instant(value: Any) -> datetime:
    """Take ISO 8601 times (UTC where they name no zone) and epoch seconds or milliseconds."""
    if isinstance(value, str):
        found = _iso_time(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is neither an ISO 8601 time nor a number of seconds")
    seconds = float(value)
    if abs(seconds) >= MILLISECONDS_FROM:
        seconds /= 1000
    # Plain arithmetic, for the C library's gmtime fails in more ways than one.
    return EPOCH + timedelta(seconds=seconds)


def _iso_time(value: str) -> datetime:
    """Read a time, rounded to microseconds as Postgres does: Python alone cuts what is beyond."""
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = datetime.fromisoformat(value)
    with suppress(OverflowError):  # the last moment that there is stays what it is
        return found + timedelta.resolution if _HALF_BEYOND.search(value) else found
    return found


def local_time(value: Any) -> datetime:
    """Take what :func:`instant` takes; a zone is converted to UTC and dropped."""
    return instant(value).astimezone(UTC).replace(tzinfo=None)


def uuid(value: Any) -> UUID:
    """Take the text of a UUID."""
    if not isinstance(value, str):
        raise ValueError("is not the text of a UUID")
    return UUID(value)


def clock(value: Any) -> time:
    """Take ISO 8601 times of a day, without a zone."""
    if not isinstance(value, str):
        raise ValueError("is not an ISO 8601 time of a day")
    found = time.fromisoformat(value)
    if found.tzinfo is not None:
        raise ValueError("holds a zone, which a time of a day has not")
    return found


def interval(value: Any) -> str:
    """Take what Postgres reads, such as P1DT2H or 1 day 2 hours; a number is of seconds."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise ValueError("is neither the text of an interval nor a number of seconds")
    if isinstance(value, str):
        return text(value)
    seconds = numeric(value)
    if seconds.copy_abs() >= _SECONDS_BELOW:
        raise ValueError(f"is not below {_SECONDS_BELOW} seconds")
    return f"{seconds.quantize(_MICROSECOND).normalize():f} seconds"


def address(value: Any) -> str:
    """Take the text of an IPv4 or IPv6 address, with or without a network's length."""
    if not isinstance(value, str):
        raise ValueError("is not the text of an address")
    if "%" in value:
        raise ValueError("holds a zone, which Postgres does not keep")
    return str(ipaddress.ip_interface(value)) if "/" in value else str(ipaddress.ip_address(value))


def network(value: Any) -> str:
    """Take the text of an IPv4 or IPv6 network."""
    if not isinstance(value, str):
        raise ValueError("is not the text of a network")
    return str(ipaddress.ip_network(value))


def base64_bytes(value: Any) -> bytes:
    """Take base64, with or without its padding, in the alphabet for URLs or the usual one."""
    if not isinstance(value, str):
        raise ValueError("is not base64")
    try:
        plain = value.translate(_URL_ALPHABET).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


def hex_bytes(value: Any) -> bytes:
    """Take hexadecimal digits, also with the backslash and x of Postgres."""
    if not isinstance(value, str):
        raise ValueError("is not hexadecimal")
    try:
        return bytes.fromhex(value.removeprefix("\\x"))
    except ValueError:
        raise ValueError("is not hexadecimal") from None


_URL_ALPHABET: Final = str.maketrans("-_", "+/")


def json(value: Any) -> bytes:
    """Return the value's JSON. The escape of NUL, which jsonb refuses, is refused."""
    found = _dumped(value)
    if b"\\u0000" in found and _NUL_ESCAPE.search(found):
        raise ValueError("holds a NUL character, which jsonb cannot store")
    return found


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_digits)
    except orjson.JSONEncodeError:
        pass  # a whole number beyond 64 bits, unless it is what cannot be written at all
    try:
        return orjson.dumps(_large_as_decimal(value), default=_digits)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"is no JSON that can be written: {error}") from error
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _digits(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _large_as_decimal(value: Any) -> Any:
    """Return a JSON value without the whole numbers that orjson refuses to write."""
    if isinstance(value, dict):
        return {key: _large_as_decimal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_large_as_decimal(each) for each in value]
    return Decimal(value) if isinstance(value, int) and abs(value) >> 63 else value


def array(element: Converter) -> Converter:
    """Return the converter of an array of elements; null is an element like others."""

    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("is not a list")
        return [None if each is None else element(each) for each in value]

    return convert


def as_key(convert: Converter) -> Converter:
    """Return the converter of a column by which rows are known: NaN, like nothing, is refused."""

    def converted(value: Any) -> Any:
        found = convert(value)
        if isinstance(found, float | Decimal) and math.isnan(found):
            raise ValueError("is not a number, by which no row is known")
        return found

    return converted


def converter(column: Column) -> Converter:
    """Return the function that converts a column's values."""
    parts = column.type.parts
    found = _element(parts, column.encoding)
    return array(found) if parts.array else found


def _element(parts: TypeParts, encoding: Encoding) -> Converter:
    if parts.own:
        return text
    if parts.base == "bytea":
        return hex_bytes if encoding is Encoding.HEX else base64_bytes
    if parts.modifiers and parts.base in {"varchar", "char"}:
        return limited(*parts.modifiers)
    if parts.modifiers and parts.base == "numeric":
        return bounded(*parts.modifiers)
    return _CONVERTERS[parts.base]


_CONVERTERS: Final[dict[str, Converter]] = {
    "text": text,
    "varchar": text,
    "boolean": boolean,
    "smallint": integer(16),
    "integer": integer(32),
    "bigint": integer(64),
    "real": floating,
    "double precision": floating,
    "numeric": numeric,
    "date": calendar_date,
    "time": clock,
    "timestamp": local_time,
    "timestamptz": instant,
    "interval": interval,
    "uuid": uuid,
    "json": json,
    "jsonb": json,
    "inet": address,
    "cidr": network,
}
