"""From a message of the records topic to a row of the buffer: pure functions, compiled once."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

from sluice_api.errors import SluiceError
from sluice_api.sink import Column, ColumnType, Metadata, PostgresSink, WriteMode
from sluice_workers import wire
from sluice_workers.write.convert import CONVERTERS

SHOWN: Final = 80
"""Characters of a wrong value that a message shows."""
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]")

Row = tuple[Any, ...]
Getter = Callable[["Message"], Any]


class InvalidRecordError(SluiceError):
    """A record does not fit the table; the message names the column, what was found and wanted."""


@dataclass(frozen=True, slots=True)
class Message:
    """One record with what its headers say."""

    key: str
    item: str
    ordinal: int
    version: int
    timestamp: int
    """When it was fetched, epoch milliseconds."""
    record: Any
    """The JSON value."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A row and its place in the order of its key."""

    values: Row
    identity: Row
    """The key columns (Upsert) or the record id (Append)."""
    order: tuple[int, int]
    """Version and ordinal: the greater one is newer."""
    key: str
    """The item key."""
    item: str
    """The item id."""


class RowParser:
    """Turns messages into rows of one sink."""

    def __init__(self, sink: PostgresSink) -> None:
        self.columns = (*sink.columns, bookkeeping_column(sink))
        self._getters = [_column(name, column, sink) for name, column in sink.columns.items()]
        self._upsert = sink.mode is WriteMode.UPSERT
        self._key = [self.columns.index(name) for name in sink.key] if self._upsert else [-1]
        exact = any(column.type is ColumnType.NUMERIC for column in sink.columns.values())
        self._loads = _exact_loads if exact else orjson.loads

    def parse(
        self, key: bytes | None, value: bytes | None, headers: wire.Headers, timestamp: int
    ) -> Parsed:
        """Parse one message. Raises ``InvalidRecordError``."""
        message = self._message(key, value, headers, timestamp)
        own = message.version if self._upsert else wire.record_id(message.item, message.ordinal)
        values = (*[getter(message) for getter in self._getters], own)
        identity = tuple(values[index] for index in self._key)
        order = (message.version, message.ordinal)
        return Parsed(values, identity, order, message.key, message.item)

    def _message(
        self, key: bytes | None, value: bytes | None, headers: wire.Headers, timestamp: int
    ) -> Message:
        given = dict(headers)
        try:
            return Message(
                key=(key or b"").decode(),
                item=given[wire.ITEM].decode(),
                ordinal=int(given[wire.ORDINAL]),
                version=int(given[wire.VERSION]),
                timestamp=timestamp,
                record=self._loads(value or b""),
            )
        except KeyError as error:
            raise InvalidRecordError(f"the header {error} is missing") from error
        except ValueError as error:
            raise InvalidRecordError(f"the message cannot be read: {error}") from error


def bookkeeping_column(sink: PostgresSink) -> str:
    """Return the column that Sluice itself fills: the version, or the record id."""
    return sink.version_column if sink.mode is WriteMode.UPSERT else sink.record_id_column


def _exact_loads(value: bytes) -> Any:
    """Read JSON without turning 0.1 into the nearest binary fraction."""
    return json.loads(value, parse_float=Decimal)


def _column(name: str, column: Column, sink: PostgresSink) -> Getter:
    find = _METADATA[column.metadata] if column.metadata else _path(column.path or f"$.{name}")
    convert = CONVERTERS[column.type]
    required = not column.nullable or name in sink.key

    def get(message: Message) -> Any:
        value = find(message)
        if value is None:
            if required:
                raise InvalidRecordError(f"column {name} must not be null, found null")
            return None
        try:
            return convert(value)
        except (ValueError, OverflowError) as error:
            raise InvalidRecordError(
                f"column {name}: {_shown(value)} {_why(error)}, wanted {column.type}"
            ) from error

    return get


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _why(error: Exception) -> str:
    text = str(error)
    return text if text.startswith(("is ", "holds ")) else "does not fit"


def _path(path: str) -> Getter:
    """Compile ``$.a.b[0]``; what is not there is None."""
    steps: list[str | int] = [
        match[1] if match[1] is not None else int(match[2]) for match in _STEP.finditer(path)
    ]
    if len(steps) == 1 and isinstance(steps[0], str):
        member = steps[0]
        return lambda message: (
            message.record.get(member) if isinstance(message.record, dict) else None
        )

    def get(message: Message) -> Any:
        value = message.record
        for step in steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return value

    return get


_METADATA: Final[dict[Metadata, Getter]] = {
    Metadata.KEY: lambda message: message.key,
    Metadata.ITEM_ID: lambda message: message.item,
    Metadata.RECORD_ID: lambda message: wire.record_id(message.item, message.ordinal),
    Metadata.FETCHED_AT: lambda message: datetime.fromtimestamp(
        message.timestamp / 1000, UTC
    ).isoformat(),
}
