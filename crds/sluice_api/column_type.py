"""The Postgres types that a column can have, as a job spells them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from sluice_api.model import rule, rules

MAX_LENGTH: Final = 132
"""Characters: two identifiers, a dot and brackets."""
PATTERN: Final = (
    r"^((text|boolean|smallint|integer|bigint|real|double precision|date|interval|uuid|json|jsonb"
    r"|bytea|inet|cidr|varchar(\([1-9][0-9]{0,7}\))?|char\([1-9][0-9]{0,7}\)"
    r"|numeric(\([1-9][0-9]{0,3}(,[0-9]{1,4})?\))?|(time|timestamp|timestamptz)(\([0-6]\))?"
    r"|[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62})(\[\])?)$"
)
_ALLOWED: Final = (
    "text, varchar, varchar(n), char(n), boolean, smallint, integer, bigint, real,"
    " double precision, numeric, numeric(p,s), date, time, timestamp, timestamptz, interval, uuid,"
    " json, jsonb, bytea, inet, cidr, a type of your own with its schema such as public.mood, or"
    " an array of one of them such as text[]"
)
BASES: Final = frozenset(
    {
        "text", "varchar", "char", "boolean", "smallint", "integer", "bigint", "real",
        "double precision", "numeric", "date", "time", "timestamp", "timestamptz", "interval",
        "uuid", "json", "jsonb", "bytea", "inet", "cidr",
    }
)  # fmt: skip
"""The types that a job names without their schema."""
_ALIASES: Final = {"character varying": "varchar", "character": "char", "bpchar": "text"}
_PARTS: Final = re.compile(r"([^()\[\]]+)(?:\((\d+)(?:,(-?\d+))?\))?(\[\])?")


@dataclass(frozen=True, slots=True)
class TypeParts:
    """A type taken apart: ``numeric(10,2)[]`` is ``numeric``, (10, 2), array."""

    base: str
    modifiers: tuple[int, ...] = ()
    array: bool = False

    @property
    def own(self) -> bool:
        """Whether it is a type of the user's, such as an enum, domain or an extension's type."""
        return "." in self.base

    @property
    def element(self) -> "TypeParts":
        """The type of an array's elements; the type itself when it is no array."""
        return replace(self, array=False)

    @property
    def sql(self) -> str:
        """How a statement names it: schema and name of an own type may be reserved words."""
        if not self.own:
            return str(self)
        base = ".".join(f'"{name}"' for name in self.base.split("."))
        return str(replace(self, base=base))

    def __str__(self) -> str:
        given = f"({','.join(map(str, self.modifiers))})" if self.modifiers else ""
        return f"{self.base}{given}{'[]' if self.array else ''}"


class ColumnType(str):
    """A Postgres type that keeps the text it was written in.

    Raises ``ValueError`` for text that names no such type.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "ColumnType":
        """Check the text and keep it."""
        if len(text) > MAX_LENGTH or not re.fullmatch(PATTERN, text):
            raise ValueError(f"must be {_ALLOWED}; found {text!r}")
        return super().__new__(cls, text)

    @property
    def parts(self) -> TypeParts:
        """What it consists of; a numeric's missing scale is zero, as Postgres has it."""
        return parts(self)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        refusal = rule(
            f"self.matches('{PATTERN.replace(chr(92), chr(92) * 2)}')",
            f"'must be {_ALLOWED}; found \"' + self + '\"'",
        )
        return {"type": "string", "maxLength": MAX_LENGTH} | rules(refusal)


def parts(text: str) -> TypeParts:
    """Take a type apart, whether a job may name it or not."""
    match = _PARTS.fullmatch(text)
    if match is None:
        return TypeParts(text)
    base, first, second, array = match.groups()
    given = tuple(int(each) for each in (first, second) if each is not None)
    if base == "numeric" and len(given) == 1:
        given = (*given, 0)
    return TypeParts(base, given, array is not None)


def spelled(found: str) -> str:
    """Return a type of ``format_type`` as a job spells it."""
    text = found.removesuffix("[]")
    array = "[]" if text != found else ""
    for long, short in ((" with time zone", "tz"), (" without time zone", "")):
        if text.endswith(long):
            name, bracket, rest = text.removesuffix(long).partition("(")
            return f"{name}{short}{bracket}{rest}{array}"
    name, bracket, rest = text.partition("(")
    return f"{_ALIASES.get(name, name)}{bracket}{rest}{array}"


def holds(column: TypeParts, values: TypeParts) -> bool:
    """Whether a column of one type keeps every value of another type unchanged."""
    if column.array or values.array:
        return column.array and values.array and holds(column.element, values.element)
    if (column.base, column.modifiers) == (values.base, values.modifiers):
        return True
    check = _HOLDS.get(column.base)
    return check is not None and check(column, values)


TEXTS: Final = frozenset({"text", "varchar", "char"})
_DIGITS: Final = {"smallint": 5, "integer": 10, "bigint": 19}
_PRECISION: Final = 6
"""Digits of a second that times have unless they say otherwise."""


def _text(column: TypeParts, values: TypeParts) -> bool:
    if values.base not in TEXTS:
        return False
    return not column.modifiers or (
        bool(values.modifiers) and values.modifiers[0] <= column.modifiers[0]
    )


def _numeric(column: TypeParts, values: TypeParts) -> bool:
    if values.base in _DIGITS:
        whole, scale = _DIGITS[values.base], 0
    elif values.base == "numeric" and (values.modifiers or not column.modifiers):
        whole, scale = _digits(values.modifiers) if values.modifiers else (0, 0)
    else:
        return False
    if not column.modifiers:
        return True
    room, places = _digits(column.modifiers)
    return whole <= room and scale <= places


def _digits(modifiers: tuple[int, ...]) -> tuple[int, int]:
    precision, scale = modifiers
    return precision - scale, scale


def _whole(column: TypeParts, values: TypeParts) -> bool:
    return _DIGITS.get(values.base, 99) <= _DIGITS[column.base]


def _time(column: TypeParts, values: TypeParts) -> bool:
    if values.base == "date":
        return column.base == "timestamp"
    found, wanted = ((*each.modifiers, _PRECISION)[0] for each in (column, values))
    return column.base == values.base and found >= wanted


def _among(*bases: str) -> Callable[[TypeParts, TypeParts], bool]:
    return lambda _column, values: values.base in bases


_HOLDS: Final[dict[str, Callable[[TypeParts, TypeParts], bool]]] = {
    "text": _text,
    "varchar": _text,
    "char": _text,
    "smallint": _whole,
    "integer": _whole,
    "bigint": _whole,
    "numeric": _numeric,
    "real": _among("smallint"),
    "double precision": _among("smallint", "integer", "real"),
    "time": _time,
    "timestamp": _time,
    "timestamptz": _time,
    "json": _among("jsonb"),
    "inet": _among("cidr"),
}
