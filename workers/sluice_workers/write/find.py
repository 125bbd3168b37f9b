"""Where a column's values are: at a path in the records, or in what their messages tell."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from sluice_api.sink import Column, Metadata
from sluice_workers.write import message as headers
from sluice_workers.write.message import Message, Messages

_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\['([^']*)'\]|\[([0-9]+)\]")

Find = Callable[[Any, Message], Any]
"""Finds a value, given the record (a JSON value) and the message that held it."""
Records = Sequence[Any]
"""JSON values."""
FindAll = Callable[[Records, Messages], list[Sequence[Any]]]
"""Finds the values of many records, a sequence for each column."""


def finder(name: str, column: Column) -> Find:
    """Return what finds a column's value; None where there is none."""
    return _METADATA[column.metadata] if column.metadata else _path(_steps(name, column))


def finder_of_all(columns: Mapping[str, Column]) -> FindAll:
    """Return what finds the values of these columns in many records."""
    members = {name: shown for name, column in columns.items() if (shown := member(name, column))}
    others = {name: finder(name, columns[name]) for name in columns if name not in members}
    pick = _picker([*members.values()])

    def found(records: Records, messages: Messages) -> list[Sequence[Any]]:
        values = dict(zip(members, pick(records), strict=False))
        for name, find in others.items():
            values[name] = [find(*each) for each in zip(records, messages, strict=True)]
        return [values[name] for name in columns]

    return found


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


def member(name: str, column: Column) -> str | None:
    """Return the member of a record that a column shows; None if it shows something else."""
    steps = [] if column.metadata else _steps(name, column)
    return steps[0] if len(steps) == 1 and isinstance(steps[0], str) else None


def _picker(members: Sequence[str]) -> Callable[[Records], Sequence[Sequence[Any]]]:
    """Return what finds members of many records, at least these."""
    if not members:
        return lambda _records: ()
    # Given one name, itemgetter would return values instead of tuples of them.
    pick = itemgetter(*members, *members) if len(members) == 1 else itemgetter(*members)

    def picked(records: Records) -> Sequence[Sequence[Any]]:
        try:
            return list(zip(*map(pick, records), strict=True))
        except (KeyError, TypeError):
            return [_each(member, records) for member in members]

    return picked


def _each(member: str, records: Records) -> list[Any]:
    return [record.get(member) if isinstance(record, dict) else None for record in records]


def _fetched_at(_record: Any, message: Message) -> str:
    return datetime.fromtimestamp(message.timestamp / 1000, UTC).isoformat()


_METADATA: Final[dict[Metadata, Find]] = {
    Metadata.KEY: lambda _, message: (message.key or b"").decode(),
    Metadata.ITEM_ID: lambda _, message: headers.item(message),
    Metadata.RECORD_ID: lambda _, message: headers.record_id(message),
    Metadata.FETCHED_AT: _fetched_at,
}
