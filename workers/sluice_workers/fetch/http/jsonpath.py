"""JSONPaths (RFC 9535), compiled once; pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath.segments import JSONPathChildSegment
from jsonpath.selectors import NameSelector

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.http.body import MalformedAnswerError

_STRICT: Final = JSONPathEnvironment(strict=True)
_MEMBERS: Final = re.compile(r"\$((?:\.[A-Za-z_][A-Za-z0-9_]*)*)(\[\*\])?")
"""The paths of most APIs: names one after the other, then perhaps all elements."""

Select = Callable[[object], Iterable[object]]
_MEMBERS_TOLD: Final = 5


class Path:
    """Selects parts of JSON documents."""

    def __init__(self, path: str, field: str) -> None:
        """Compile. Raises ``ConfigurationError``, which names the field, for what is no path."""
        self.text = path
        self._select, self._names, self._goes_on = _compiled(path, field)

    def all(self, document: object) -> Iterable[object]:
        """Everything selected. Raises ``MalformedAnswerError`` where the path cannot be applied."""
        try:
            return self._select(document)
        except (JSONPathError, RecursionError) as error:
            raise MalformedAnswerError(f"{self.text} cannot be applied: {error}") from error

    def first(self, document: object) -> object:
        """What is selected first; None for nothing. Raises ``MalformedAnswerError``."""
        return next(iter(self.all(document)), None)

    def gap(self, document: object) -> str | None:
        """Say where the names that the path begins with lead nowhere; None where they do not.

        What is null holds nothing, and is no gap.
        """
        node, place = document, "$"
        for name in self._names:
            if node is None:
                return None
            if not isinstance(node, dict):
                return f"{place} must be an object to hold {name!r:.80}, found {kind(node)}"
            if name not in node:
                return f"{place} must hold {name!r:.80}, found {_members_of(node)}"
            node, place = node[name], f"{place}.{name}"
        if self._goes_on and not isinstance(node, dict | list | None):
            return f"{place} must be an array or an object, found {kind(node)}"
        return None


def kind(value: object) -> str:
    """Return what JSON calls a value, for messages."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _members_of(node: dict[str, object]) -> str:
    told = [f"{name!r:.80}" for name in islice(node, _MEMBERS_TOLD)]
    more = len(node) - len(told)
    return (", ".join(told) or "no members") + (f" and {more} more" if more else "")


def _compiled(path: str, field: str) -> tuple[Select, tuple[str, ...], bool]:
    """Return what selects, the names that the path begins with, and whether it goes on."""
    plain = _MEMBERS.fullmatch(path)
    if plain:
        names = tuple(filter(None, plain[1].split(".")))
        elements = bool(plain[2])
        return _members(names, elements=elements), names, elements
    try:
        query = _STRICT.compile(path)
    except JSONPathError as error:
        raise ConfigurationError(
            f"{field}: must be a JSONPath such as $.data[*], found {path!r}:"
            f" {str(error).partition(chr(10))[0]}"
        ) from error

    def select(document: object) -> Iterable[object]:
        # A document that is text would be parsed once more by the library.
        return query.findall(document) if isinstance(document, dict | list) else ()

    segments = query.segments if isinstance(query, JSONPath) else ()
    names = tuple(_names(segments))
    return select, names, len(names) < len(segments)


def _names(segments: Iterable[Any]) -> Iterator[str]:
    """The names one after the other that a path begins with."""
    for segment in segments:
        if not isinstance(segment, JSONPathChildSegment) or len(segment.selectors) != 1:
            return
        (selector,) = segment.selectors
        if not isinstance(selector, NameSelector):
            return
        yield selector.name


def _members(names: Sequence[str], *, elements: bool) -> Select:
    """Select by names alone; like any JSONPath, it selects nothing where a name is missing."""

    def select(document: object) -> Iterable[object]:
        node = document
        for name in names:
            if not isinstance(node, dict) or name not in node:
                return ()
            node = node[name]
        if not elements:
            return (node,)
        if isinstance(node, dict):
            return node.values()
        return node if isinstance(node, list) else ()

    return select
