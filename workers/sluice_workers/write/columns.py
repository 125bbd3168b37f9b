"""Columns at once: the values of many records in one call in C.

What comes out is what the converter of :mod:`convert` makes of each value; where one does not fit,
all of them fail, and whoever asked looks at each by itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, ValidationError, convert

from sluice_api.column_type import TEXTS, TypeParts
from sluice_api.sink import Column
from sluice_workers.write.convert import Converter

Values = Sequence[Any]
Bulk = Callable[[Values], Values]
UNFIT: Final = (ValueError, OverflowError, RecursionError)
"""What is raised where a value does not fit its column."""


@dataclass(frozen=True, slots=True)
class Plain:
    """How values become those of a column whose type JSON, or msgspec, knows as well."""

    kind: Any
    """What msgspec makes of them, without converting between JSON's types."""
    finish: Bulk
    """What is left to do, also for null. Raises ``ValueError`` when one of them does not fit."""


def plain(parts: TypeParts) -> Plain | None:
    """Return how values of a type are read; None where a converter must look at each."""
    if parts.array:
        return None
    if parts.base in TEXTS:
        kind = Annotated[str, Meta(max_length=parts.modifiers[0])] if parts.modifiers else str
        return Plain(kind, _without_nul)
    return _PLAIN.get(parts.base)


def bulk(column: Column, one: Converter, *, required: bool) -> Bulk:
    """Return what converts a column's values as ``one`` does each.

    Null stays None, unless the column needs a value.
    It raises one of ``UNFIT`` when one of them does not fit.
    """

    def each(values: Values) -> Values:
        if required and None in values:
            raise ValueError("must not be null")
        return [None if value is None else one(value) for value in values]

    found = plain(column.type.parts)
    if found is None:
        return each
    wanted, finish = list[found.kind if required else found.kind | None], found.finish  # type: ignore[misc]  # made while running

    def at_once(values: Values) -> Values:
        try:
            return finish(convert(values, wanted))
        except ValidationError:
            return each(values)

    return at_once


def _as_they_are(values: Values) -> Values:
    return values


def _finite(values: Values) -> Values:
    if any(map(math.isinf, filter(None, values))):
        raise ValueError("is beyond what a double precision holds")
    return values


def _without_nul(values: Values) -> Values:
    if "\0" in "".join(filter(None, values)):
        raise ValueError("holds a NUL character")
    return values


def _with_zone(values: Values) -> Values:
    return [
        each if each is None or each.tzinfo is not None else each.replace(tzinfo=UTC)
        for each in values
    ]


def _integers(bits: int) -> Plain:
    return Plain(Annotated[int, Meta(ge=-(1 << bits - 1), le=(1 << bits - 1) - 1)], _as_they_are)


_PLAIN: Final[dict[str, Plain]] = {
    "boolean": Plain(bool, _as_they_are),
    "smallint": _integers(16),
    "integer": _integers(32),
    "bigint": _integers(64),
    "real": Plain(float, _finite),
    "double precision": Plain(float, _finite),
    "date": Plain(date, _as_they_are),
    "timestamptz": Plain(datetime, _with_zone),
    "uuid": Plain(UUID, _as_they_are),
}
