"""Kubernetes quantities: ``250m``, ``1.5``, ``512Mi``.

The grammar is that of the Kubernetes API's ``resource.Quantity``.
"""

import re
from decimal import Decimal
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$"
)
_FACTORS: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
    "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


class Quantity(str):
    """A quantity that keeps the text it was written in.

    Raises ``ValueError`` for text that Kubernetes would refuse.
    """

    __slots__ = ()

    def __new__(cls, text: str | float) -> "Quantity":
        """Check the text and keep it."""
        if not re.fullmatch(PATTERN, str(text)):
            raise ValueError(f"must be a quantity such as 250m, 2 or 512Mi, found {text!r}")
        return super().__new__(cls, str(text))

    @property
    def number(self) -> Decimal:
        """The quantity in its base unit: cores for CPU, bytes for memory."""
        text = str(self)
        suffix = re.search(r"([KMGTPE]i|[numkMGTPE])$", text)
        if suffix is None:
            return Decimal(text)
        return Decimal(text[: suffix.start()]) * _FACTORS[suffix.group()]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        text_or_number = core_schema.union_schema(
            [core_schema.str_schema(), core_schema.int_schema(), core_schema.float_schema()]
        )
        return core_schema.no_info_after_validator_function(cls, text_or_number)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": PATTERN,
            "x-kubernetes-int-or-string": True,
        }
