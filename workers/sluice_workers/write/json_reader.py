"""Reads JSON as fast as the digits that are to be kept allow. Pure."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

WHOLE: Final = 1000
"""Digits of what is read as an int: Python refuses some thousands, which would take long."""
_MANY_DIGITS: Final = b"0" * 16
"""Sixteen digits, or fifteen and their point, in a row: any double keeps fifteen."""
_DIGITS: Final = bytes.maketrans(b"123456789.", b"0" * 10)
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(value: bytes) -> Any:
    """Read JSON; a number that no double holds is left to the column that shows it.

    Raises ``ValueError``.
    """
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return _slowly(value, _double)


def _double(text: str) -> float | Decimal:
    found = float(text)
    return found if math.isfinite(found) else Decimal(text)


def exact_loads(value: bytes) -> Any:
    """Read JSON without turning 0.1 into the nearest binary fraction. Raises ``ValueError``."""
    return _slowly(value, Decimal)


def _slowly(value: bytes, parse_float: Callable[[str], float | Decimal]) -> Any:
    try:
        found = json.loads(
            value.decode(),
            parse_float=parse_float,
            parse_int=_whole,
            parse_constant=_no_constant,
        )
        if _SURROGATE.search(value):
            # Python reads half of a pair, which no text of Postgres holds: encoding finds it.
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except InvalidOperation:
        raise ValueError("it holds a number with too great an exponent") from None
    return found


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= WHOLE else Decimal(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def careful_loads(value: bytes) -> Any:
    """Read JSON exactly if it may hold a number of more digits than a double keeps.

    Raises ``ValueError``.
    """
    return exact_loads(value) if may_have_many_digits(value) else loads(value)


def may_have_many_digits(value: bytes) -> bool:
    """Whether a number may have more digits than a double keeps; a fifth of a pattern's time."""
    return _MANY_DIGITS in value.translate(_DIGITS)
