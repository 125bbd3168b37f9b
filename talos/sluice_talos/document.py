"""A YAML file that remembers its lines, so that a refusal can name them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sluice_api.errors import ConfigurationError

Parsed = TypeVar("Parsed", bound=BaseModel)
Location = tuple[str | int, ...]
"""The keys and indices that lead to a value."""
_PLAIN: Final = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "merge")
)
"""What values may be; a date, for instance, is meant as text."""
_LONGEST: Final = 80
"""Characters of a wrong value that a message shows."""
_HINTS: Final = (
    (r"'\\t'", "indent with spaces, not with tabs"),
    (r"character '[>@`%|]'|comment or a line break", 'put a value such as "> 64GB" in quotes'),
)


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
        if not isinstance(node, yaml.MappingNode):
            raise ConfigurationError(f"{path}:1: must be a mapping with cluster and nodes")
        if faults := list(_faults(node)):
            raise Document(path, None, node).refusal(faults)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: is no YAML: {_hinted(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{path}:{line}: is no YAML: {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: is no YAML that can be read: {error}") from error
    return Document(path, content, node)


def _hinted(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    hint = next((hint for sign, hint in _HINTS if re.search(sign, problem)), None)
    return f"{problem}; {hint}" if hint else problem


def _faults(
    node: yaml.Node, location: Location = (), around: tuple[yaml.Node, ...] = ()
) -> Iterator[Fault]:
    """Find what YAML would take silently, or stumble over, and no one means."""
    if node in around:
        yield Fault(location, "holds itself, through an anchor")
        return
    if node.tag not in _PLAIN:
        yield Fault(location, f"is {node.tag.rpartition(':')[2]!r} to YAML: put it in quotes")
        return
    inside = (*around, node)
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _faults(value, (*location, index), inside)
    if isinstance(node, yaml.MappingNode):
        yield from _faults_of_mapping(node, location, inside)


def _faults_of_mapping(
    node: yaml.MappingNode, location: Location, inside: tuple[yaml.Node, ...]
) -> Iterator[Fault]:
    seen: set[str] = set()
    for key, value in node.value:
        if key.tag.rpartition(":")[2] not in {"str", "merge"}:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            yield Fault((*location, name), "must be text, for a field's name: put it in quotes")
            continue
        if key.value in seen:
            yield Fault((*location, key.value), "stands there twice: keep one")
        seen.add(key.value)
        yield from _faults(value, (*location, key.value), inside)


def parse(document: Document, model: type[Parsed]) -> Parsed:
    """Read a document as a model. Raises ``ConfigurationError`` that names every fault."""
    try:
        return model.model_validate(document.content, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = [
            Fault(tuple(p for p in item["loc"] if p != "[key]"), _message(dict(item), model))
            for item in error.errors(include_url=False)
        ]
        raise document.refusal(faults) from error


def _message(item: dict[str, Any], model: type[BaseModel]) -> str:
    found = _shown(item["input"])
    match item["type"]:
        case "missing":
            return "is missing: it must be given"
        case "extra_forbidden":
            allowed = ", ".join(_fields(model, item["loc"][:-1]))
            return f"is not known{f'; allowed are {allowed}' if allowed else ''}"
        case "enum":
            return f"must be {item['ctx']['expected']}, found {found}"
        case "model_type" | "model_attributes_type":
            return f"must be a mapping with {', '.join(_fields(model, item['loc']))}, found {found}"
        case "dict_type":
            return f"must be a mapping, found {found}"
        case "tuple_type":
            return f"must be a list, found {found}"
        case "string_type" | "path_type":
            quotes = "" if item["input"] is None else "; put it in quotes"
            return f"must be text, found {found}{quotes}"
        case "value_error":
            return str(item["ctx"]["error"])
        case _:
            return f"{item['msg']}, found {found}"


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


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
