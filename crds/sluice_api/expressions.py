"""Text that is compiled when a job starts: templates with names in braces, and JSONPaths."""

from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from sluice_api.model import rule, rules

TEMPLATE: Final = r"^([^{}]|[{][{]|[}][}]|[{][^{}]+[}])*$"
MAX_TEMPLATE: Final = 8192


class Template(str):
    """Text in which {key} stands for the item key, and other names in braces for its attributes.

    Doubled braces stand for themselves.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        text = core_schema.str_schema(max_length=MAX_TEMPLATE)
        return core_schema.no_info_after_validator_function(cls, text)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        braces = rule(
            f"self.matches('{TEMPLATE}')",
            "'braces must enclose a name, such as {key}, or be doubled, found \"' + self + '\"'",
        )
        return {"type": "string", "maxLength": MAX_TEMPLATE, **rules(braces)}


JsonPath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            rule(
                "self.startsWith('$')",
                "'must be a JSONPath (RFC 9535) such as $.data[*], found \"' + self + '\"'",
            )
        ),
    ),
]
"""Where something is in a JSON document."""
