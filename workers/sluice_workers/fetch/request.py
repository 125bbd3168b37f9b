"""The URL of one item; pure."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

import orjson

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.item import Item

KEY: Final = "key"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class InvalidItemError(ValueError):
    """An item from which no URL can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """A URL with names in braces: ``{key}`` for the item key, others for attributes."""

    literals: tuple[str, ...]
    """The text before, between and after the names."""
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a URL at its names. Raises ``ConfigurationError`` for stray braces."""
        parts = _PLACEHOLDER.split(text)
        literals, names = tuple(parts[::2]), tuple(parts[1::2])
        if not all(names) or any(brace in literal for literal in literals for brace in "{}"):
            raise ConfigurationError(
                f"source.http.url: braces must enclose a name, such as {{key}}, found {text!r}"
            )
        return cls(literals, names)

    def url(self, item: Item) -> str:
        """The URL of an item, each value percent-encoded. Raises ``InvalidItemError``."""
        if item.flaw is not None:
            raise InvalidItemError(item.flaw)
        found = {} if set(self.names) <= {KEY} else attributes(item)
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            value = item.text_key if name == KEY else _text(found, name)
            parts += [_encoded(name, value), literal]
        return "".join(parts)


def attributes(item: Item) -> dict[str, object]:
    """Return the attributes of an item. Raises ``InvalidItemError``."""
    if item.flaw is not None:
        raise InvalidItemError(item.flaw)
    try:
        found = orjson.loads(item.value or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidItemError(f"the item's value must be a JSON object: {error}") from error
    if not isinstance(found, dict):
        raise InvalidItemError(
            f"the item's value must be a JSON object, found {type(found).__name__}"
        )
    return found


def _text(attributes: dict[str, object], name: str) -> str:
    value = attributes.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    known = ", ".join(sorted(attributes)) or "none"
    found = "no such attribute" if name not in attributes else orjson.dumps(value).decode()[:80]
    raise InvalidItemError(
        f"the URL names {{{name}}}, which must be text or a number, found {found};"
        f" the item's attributes: {known}"
    )


def _encoded(name: str, value: str) -> str:
    # Clients resolve dot segments, encoded or not: they would ask for another resource.
    if value in {"", ".", ".."}:
        raise InvalidItemError(f"{{{name}}} must not be empty, . or .., found {value!r}")
    return quote(value, safe="")
