"""A YAML file that remembers its lines, so that a refusal can name them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sluice_api.errors import ConfigurationError

Parsed = TypeVar("Parsed", bound=BaseModel)
Location = tuple[str | int, ...]
"""The keys and indices that lead to a value."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a value."""

    location: Location
    message: str


@dataclass(frozen=True)
class Document:
    """A YAML file's content, and where in the file each value stands."""

    path: Path
    content: Any
    node: yaml.Node

    def refusal(self, faults: Iterable[Fault]) -> ConfigurationError:
        """Return the error that tells all faults, each with its line and field."""
        lines = sorted(
            ((self._line(fault.location), fault) for fault in dict.fromkeys(faults)),
            key=lambda found: found[0],
        )
        told = [
            f"{self.path}:{line}: {named(fault.location)}: {fault.message}" for line, fault in lines
        ]
        return ConfigurationError("\n".join(told))

    def _line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest one around it that exists."""
        node = self.node
        mark = node.start_mark
        for part in location:
            key, found = _child(node, part)
            if found is None:
                break
            node, mark = found, (key or found).start_mark
        return int(mark.line) + 1


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def named(location: Location) -> str:
    """Write a location as people do: ``nodes[1].role``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the file"


def read(path: Path) -> Document:
    """Read a YAML file. Raises ``ConfigurationError`` for what is no YAML or no mapping."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is no UTF-8 text: {error}") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: is no YAML: {error.problem}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{path}:1: must be a mapping with cluster and nodes")
    document = Document(path, content, node)
    if repeated := list(_repeated(node, ())):
        raise document.refusal(repeated)
    return document


def _repeated(node: yaml.Node, location: Location) -> Iterator[Fault]:
    """Find keys that stand twice in a mapping: YAML would silently take the last."""
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, (*location, index))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Fault((*location, key.value), "stands there twice: keep one")
            seen.add(key.value)
            yield from _repeated(value, (*location, key.value))


def parse(document: Document, model: type[Parsed]) -> Parsed:
    """Read a document as a model. Raises ``ConfigurationError`` that names every fault."""
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        faults = [
            Fault(tuple(item["loc"]), _message(dict(item), model))
            for item in error.errors(include_url=False)
        ]
        raise document.refusal(faults) from error


def _message(item: dict[str, Any], model: type[BaseModel]) -> str:
    found = item["input"]
    match item["type"]:
        case "missing":
            return "is missing: it must be given"
        case "extra_forbidden":
            allowed = ", ".join(_fields(model, item["loc"][:-1]))
            return f"is not known{f'; allowed are {allowed}' if allowed else ''}"
        case "enum":
            return f"must be {item['ctx']['expected']}, found {found!r}"
        case "string_type":
            return f"must be text, found {found!r}; put it in quotes"
        case "value_error":
            return str(item["ctx"]["error"])
        case _:
            return f"{item['msg'].lower()}, found {found!r}"


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """List the fields that are allowed at a location of the model."""
    for part in location:
        if isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model in an annotation such as ``tuple[Node, ...]`` or ``Selector | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = getattr(annotation, "__args__", ())
    return next((found for part in arguments if (found := _model_in(part))), None)
