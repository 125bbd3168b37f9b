"""Text with names in braces, filled from an item; pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import orjson

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.item import Item

KEY: Final = "key"
MAX_DEPTH: Final = 64
"""How deep a body's template may be nested."""
_TOKENS: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[^{}]+")

Values = Mapping[str, object]
"""An item's attributes by name, its key among them."""


class InvalidItemError(ValueError):
    """An item from which no request can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """Text with names in braces; doubled braces stand for themselves."""

    literals: tuple[str, ...]
    """The text before, between and after the names."""
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, field: str) -> Self:
        """Split text at its names. Raises ``ConfigurationError`` that names the field."""
        literals, names, end = [""], [], 0
        for token in _TOKENS.finditer(text):
            if token.start() != end:
                break
            end = token.end()
            if token[1] is not None:
                names.append(token[1])
                literals.append("")
            else:
                literals[-1] += token[0][0] if token[0] in {"{{", "}}"} else token[0]
        if end != len(text):
            raise ConfigurationError(
                f"{field}: braces must enclose a name, such as {{key}}, or be doubled,"
                f" found {text!r}"
            )
        return cls(tuple(literals), tuple(names))

    def fill(self, values: Values, encode: Callable[[str, str], str] | None = None) -> str:
        """Return the text; ``encode`` is given each name and value. Raises ``InvalidItemError``."""
        if not self.names:
            return self.literals[0]
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            value = text_of(values, name)
            parts += [encode(name, value) if encode else value, literal]
        return "".join(parts)

    @property
    def alone(self) -> str | None:
        """The name, where the text is that one name and nothing else."""
        return self.names[0] if len(self.names) == 1 and not any(self.literals) else None


class JsonTemplate:
    """A JSON document whose texts are templates."""

    def __init__(self, document: object, field: str) -> None:
        """Compile a document. Raises ``ConfigurationError``."""
        self.names: set[str] = set()
        self._node = self._compiled(document, field, MAX_DEPTH)

    def fill(self, values: Values) -> object:
        """Return the document. Raises ``InvalidItemError``."""
        return _filled(self._node, values)

    def _compiled(self, node: object, field: str, depth: int) -> object:
        if not depth:
            raise ConfigurationError(f"{field}: must be at most {MAX_DEPTH} levels deep")
        match node:
            case str():
                template = TextTemplate.parse(node, field)
                self.names |= set(template.names)
                return template if template.names else template.literals[0]
            case dict():
                return {
                    name: self._compiled(value, f"{field}.{name}", depth - 1)
                    for name, value in node.items()
                }
            case list():
                return [
                    self._compiled(value, f"{field}[{index}]", depth - 1)
                    for index, value in enumerate(node)
                ]
        return node


def _filled(node: object, values: Values) -> object:
    match node:
        case TextTemplate():
            if node.alone is None:
                return node.fill(values)
            if node.alone not in values:
                raise _lacking(values, node.alone, "must be one of them")
            return values[node.alone]
        case dict():
            return {name: _filled(value, values) for name, value in node.items()}
        case list():
            return [_filled(value, values) for value in node]
    return node


def values_of(item: Item, names: set[str]) -> Values:
    """Return what an item fills these names with. Raises ``InvalidItemError``."""
    if names <= {KEY}:
        if item.flaw is not None:
            raise InvalidItemError(item.flaw)
        return {KEY: item.text_key}
    return attributes(item) | {KEY: item.text_key}


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


def text_of(values: Values, name: str) -> str:
    """Return a value as text. Raises ``InvalidItemError`` for lists, objects and null."""
    value = values.get(name)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    raise _lacking(values, name, "must be text or a number")


def _lacking(values: Values, name: str, demand: str) -> InvalidItemError:
    known = ", ".join(sorted(set(values) - {KEY})) or "none"
    found = "no such attribute" if name not in values else _shown(values[name])
    return InvalidItemError(
        f"the request names {{{name}}}, which {demand}, found {found};"
        f" the item's attributes: {known}"
    )


def _shown(value: object) -> str:
    try:
        return orjson.dumps(value).decode()[:80]
    except TypeError:
        return f"a {type(value).__name__} that is too deep"
