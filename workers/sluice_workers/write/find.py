"""Where a column's values are: at a path in the records, or in what their messages tell."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sluice_api.sink import Column, Metadata
from sluice_workers.write import message as headers
from sluice_workers.write.message import Message, Messages

_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^']*)'\]|\[([0-9]+)\]")

Find = Callable[[Any, Message], Any]
"""Finds a value, given the record (a JSON value) and the message that held it."""
FindAll = Callable[[Sequence[Any], Messages], list[Any]]
"""Finds the values of many records, in their order."""


def finder(name: str, column: Column) -> Find:
    """Return what finds a column's value; None where there is none."""
    return _METADATA[column.metadata] if column.metadata else _path(_steps(name, column))


def finder_of_all(name: str, column: Column) -> FindAll:
    """Return what finds a column's values in many records."""
    shown = member(name, column)
    if shown is not None:
        return _members(shown)
    find = finder(name, column)

    def found(records: Sequence[Any], messages: Messages) -> list[Any]:
        return [find(*each) for each in zip(records, messages, strict=True)]

    return found


def member(name: str, column: Column) -> str | None:
    """Return the member of a record that a column shows; None if it shows something else."""
    steps = [] if column.metadata else _steps(name, column)
    return steps[0] if len(steps) == 1 and isinstance(steps[0], str) else None


def _steps(name: str, column: Column) -> list[str | int]:
    """Take ``$.a['b'][0]`` apart: into a, b and 0."""
    if column.path is None:
        return [name]
    return [
        int(index) if index else plain or quoted
        for plain, quoted, index in _STEP.findall(column.path)
    ]


def _path(steps: Sequence[str | int]) -> Find:
    def find(record: Any, _message: Message) -> Any:
        value = record
        for step in steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return value

    return find


def _members(name: str) -> FindAll:
    def found(records: Sequence[Any], _messages: Messages) -> list[Any]:
        if set(map(type, records)) == {dict}:
            return [record.get(name) for record in records]
        return [record.get(name) if isinstance(record, dict) else None for record in records]

    return found


def _fetched_at(_record: Any, message: Message) -> str:
    return datetime.fromtimestamp(message.timestamp / 1000, UTC).isoformat()


_METADATA: Final[dict[Metadata, Find]] = {
    Metadata.KEY: lambda _, message: (message.key or b"").decode(),
    Metadata.ITEM_ID: lambda _, message: headers.item(message),
    Metadata.RECORD_ID: lambda _, message: headers.record_id(message),
    Metadata.FETCHED_AT: _fetched_at,
}
