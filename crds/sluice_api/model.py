"""The base of all API models, and how a CEL rule is attached to one."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen value with camelCase names outside and snake_case names inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, str]:
    """A CEL validation rule of the Kubernetes API server.

    ``message`` is itself a CEL expression of type string, so it can say what was found.
    ``field`` is the path, relative to the object, that the refusal names.
    """
    found = {"rule": expression, "messageExpression": message}
    return found | ({"fieldPath": field} if field else {})


def rules(*found: dict[str, str]) -> dict[str, Any]:
    """The JSON-schema extra that carries CEL rules."""
    return {"x-kubernetes-validations": list(found)}


def exactly_one(*fields: str) -> dict[str, str]:
    """A CEL rule for an object of which exactly one of these fields must be given."""
    given = f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(given, given).size()"
    named = f"{', '.join(fields[:-1])} and {fields[-1]}"
    return rule(
        f"{given} == 1", f"'exactly one of {named} must be given, found %d'.format([{given}])"
    )


def describe(error: ValidationError) -> str:
    """All mistakes of a validation in one line: field, message, what was found."""
    return "; ".join(
        f"{'.'.join(map(str, mistake['loc'])) or 'document'}: {mistake['msg']}"
        for mistake in error.errors(include_input=False, include_url=False)
    )
