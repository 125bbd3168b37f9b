"""JSONPaths (RFC 9535), compiled once; pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from jsonpath import JSONPathEnvironment, JSONPathError

from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.http.body import MalformedAnswerError

_STRICT: Final = JSONPathEnvironment(strict=True)
_MEMBERS: Final = re.compile(r"\$((?:\.[A-Za-z_][A-Za-z0-9_]*)*)(\[\*\])?")
"""The paths of most APIs: names one after the other, then perhaps all elements."""

Select = Callable[[object], Iterable[object]]


class Path:
    """Selects parts of JSON documents."""

    def __init__(self, path: str, field: str) -> None:
        """Compile. Raises ``ConfigurationError``, which names the field, for what is no path."""
        self.text = path
        self._select = _compiled(path, field)

    def all(self, document: object) -> Iterable[object]:
        """Everything selected. Raises ``MalformedAnswerError`` where the path cannot be applied."""
        try:
            return self._select(document)
        except (JSONPathError, RecursionError) as error:
            raise MalformedAnswerError(f"{self.text} cannot be applied: {error}") from error

    def first(self, document: object) -> object:
        """What is selected first; None for nothing. Raises ``MalformedAnswerError``."""
        return next(iter(self.all(document)), None)


def _compiled(path: str, field: str) -> Select:
    plain = _MEMBERS.fullmatch(path)
    if plain:
        names = tuple(filter(None, plain[1].split(".")))
        return _members(names, elements=bool(plain[2]))
    try:
        query = _STRICT.compile(path)
    except JSONPathError as error:
        raise ConfigurationError(
            f"{field}: must be a JSONPath such as $.data[*], found {path!r}: {error}"
        ) from error

    def select(document: object) -> Iterable[object]:
        # A document that is text would be parsed once more by the library.
        return query.findall(document) if isinstance(document, dict | list) else ()

    return select


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
