"""The records in an API's answer; pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import orjson
from jsonpath import JSONPathEnvironment, JSONPathError

from sluice_api.errors import ConfigurationError

_STRICT: Final = JSONPathEnvironment(strict=True)
_MEMBERS: Final = re.compile(r"\$((?:\.[A-Za-z_][A-Za-z0-9_]*)*)(\[\*\])?")
"""The paths of most APIs: names one after the other, then perhaps all elements."""

_WHOLE: Final = "$"

Select = Callable[[object], Iterable[object]]


class MalformedAnswerError(ValueError):
    """An answer from which no records can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class RecordsPath:
    """Where the records of an answer are, as a JSONPath (RFC 9535)."""

    path: str
    select: Select

    @classmethod
    def compile(cls, path: str) -> Self:
        """Compile a path once. Raises ``ConfigurationError`` for what is no JSONPath."""
        plain = _MEMBERS.fullmatch(path)
        if plain:
            names = tuple(filter(None, plain[1].split(".")))
            return cls(path, _members(names, elements=bool(plain[2])))
        try:
            query = _STRICT.compile(path)
        except JSONPathError as error:
            raise ConfigurationError(
                f"source.http.records: must be a JSONPath such as $.data[*], found {path!r}:"
                f" {error}"
            ) from error

        def select(document: object) -> Iterable[object]:
            # A document that is text would be parsed once more by the library.
            return query.findall(document) if isinstance(document, dict | list) else ()

        return cls(path, select)

    def records(self, body: bytes) -> tuple[bytes, ...]:
        """The records of an answer, each as JSON text. Raises ``MalformedAnswerError``."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise MalformedAnswerError(f"the answer must be JSON: {error}") from error
        if self.path == _WHOLE and isinstance(document, dict):
            return (body,)  # as it came: to write it anew would round long numbers
        return tuple(map(self._record, self._selected(document)))

    def _selected(self, document: object) -> Iterable[object]:
        try:
            return self.select(document)
        except (JSONPathError, RecursionError) as error:
            raise MalformedAnswerError(f"{self.path} cannot be applied: {error}") from error

    def _record(self, value: object) -> bytes:
        if not isinstance(value, dict):
            raise MalformedAnswerError(
                f"{self.path} must select JSON objects, found {_kind(value)}"
            )
        return orjson.dumps(value)


def _members(names: tuple[str, ...], *, elements: bool) -> Select:
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


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
