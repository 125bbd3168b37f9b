"""Columns at once: a look at the types of many values, then one call in C for all of them.

What comes out is what the converter of :mod:`convert` makes of each value; where one does not fit,
all of them fail, and whoever asked looks at each by itself.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final

from sluice_api.column_type import TEXTS, TypeParts
from sluice_api.sink import Column
from sluice_workers.write.convert import Converter

Values = Sequence[Any]
Bulk = Callable[[Values], Values]


def bulk(column: Column, one: Converter, *, required: bool) -> Bulk:
    """Return what converts a column's values as ``one`` does each.

    Null stays None, unless the column needs a value.
    It raises ``ValueError`` or ``OverflowError`` when one of them does not fit.
    """
    types, plain = _plain(column.type.parts)

    def convert(values: Values) -> Values:
        found = set(map(type, values))
        if NoneType in found:
            if required:
                raise ValueError("must not be null")
            present = iter(convert([value for value in values if value is not None]))
            return [None if value is None else next(present) for value in values]
        return plain(values) if found <= types else [one(value) for value in values]

    return convert


def _plain(parts: TypeParts) -> tuple[frozenset[type], Bulk]:
    """Return how a column is converted whose values are all of some types."""
    if not parts.array and parts.base in TEXTS:
        return frozenset({str}), _texts(parts.modifiers[0] if parts.modifiers else None)
    if not parts.array and parts.base in _PLAIN:
        return _PLAIN[parts.base]
    return frozenset(), list


def _texts(longest: int | None) -> Bulk:
    def convert(values: Values) -> Values:
        if [value for value in values if "\0" in value]:
            raise ValueError("holds a NUL character")
        if longest is not None and max(map(len, values), default=0) > longest:
            raise ValueError(f"is longer than {longest} characters")
        return values

    return convert


def _integers(bits: int) -> Bulk:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def convert(values: Values) -> Values:
        if values and not (low <= min(values) and max(values) <= high):
            raise ValueError(f"is not between {low} and {high}")
        return values

    return convert


def _floats(values: Values) -> Values:
    return list(map(float, values))


def _instants(values: Values) -> Values:
    found = map(datetime.fromisoformat, values)
    return [each if each.tzinfo else each.replace(tzinfo=UTC) for each in found]


_PLAIN: Final[dict[str, tuple[frozenset[type], Bulk]]] = {
    "boolean": (frozenset({bool}), list),
    "smallint": (frozenset({int}), _integers(16)),
    "integer": (frozenset({int}), _integers(32)),
    "bigint": (frozenset({int}), _integers(64)),
    "real": (frozenset({int, float}), _floats),
    "double precision": (frozenset({int, float}), _floats),
    "timestamptz": (frozenset({str}), _instants),
}
"""The types of values, and what converts them when all of a column's are of these."""
