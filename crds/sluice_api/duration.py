"""Durations as people write them in YAML: ``500ms``, ``10s``, ``1h30m``, ``7d``."""

import re
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

PATTERN: Final = r"^([0-9]+(ms|s|m|h|d))+$"
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(str):
    """A duration that keeps the text it was written in.

    Raises ``ValueError`` for text that is not a sequence of whole numbers with a unit.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text and keep it."""
        if not re.fullmatch(PATTERN, text):
            raise ValueError(f"must be a duration such as 500ms, 10s or 1h30m, found {text!r}")
        return super().__new__(cls, text)

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        parts = re.findall(r"([0-9]+)(ms|s|m|h|d)", self)
        return sum(int(number) * _SECONDS[unit] for number, unit in parts)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        rule = {
            "rule": f"self.matches('{PATTERN}')",
            "messageExpression": (
                "'must be a duration such as 500ms, 10s or 1h30m, found \"' + self + '\"'"
            ),
        }
        return {"type": "string", "maxLength": 32, "x-kubernetes-validations": [rule]}


class Span(Duration):
    """A duration that is more than nothing."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the text and keep it."""
        found = super().__new__(cls, text)
        if not found.seconds:
            raise ValueError(f"must be more than nothing, such as 10s, found {text!r}")
        return found

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = super().__get_pydantic_json_schema__(schema, handler)
        rule = {
            "rule": "self.matches('[1-9]')",
            "messageExpression": "'must be more than nothing, such as 10s, found \"' + self + '\"'",
        }
        return found | {"x-kubernetes-validations": [*found["x-kubernetes-validations"], rule]}
