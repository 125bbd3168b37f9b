"""From a message of the records topic to a row of the buffer: pure functions, compiled once."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, Protocol

import orjson

from sluice_api.errors import SluiceError
from sluice_api.sink import Column, Metadata, PostgresSink, WriteMode
from sluice_workers import wire
from sluice_workers.write.convert import converter
from sluice_workers.write.record_ids import apart

SHOWN: Final = 80
"""Characters of a wrong value that a message shows."""
_MANY_DIGITS: Final = re.compile(rb"[0-9][0-9.]{15}")
"""Sixteen digits, or fifteen and their point, in a row: any double keeps fifteen."""
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]")

Row = tuple[Any, ...]
"""What one record fills: the columns in the order of the spec, where it was read if record ids are
apart, and last the one that Sluice fills."""


class Message(Protocol):
    """A message as the broker's client gives it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: wire.Headers
    timestamp: int
    """When it was fetched, epoch milliseconds."""


Getter = Callable[[Any, Message], Any]
"""Finds a value, given the record (a JSON value) and the message that held it."""


class InvalidRecordError(SluiceError):
    """A record does not fit the table; the message names the column, what was found and wanted."""


class RowParser:
    """Turns messages into rows of one sink."""

    def __init__(self, sink: PostgresSink) -> None:
        self.columns = (*sink.columns, bookkeeping_column(sink))
        self._getters = [_column(name, column, sink) for name, column in sink.columns.items()]
        self._own = _version if sink.mode is WriteMode.UPSERT else _record_id
        self._loads = _reader(sink)
        self._apart = apart(sink)

    def parse(self, message: Message) -> Row:
        """Parse one message. Raises ``InvalidRecordError``."""
        try:
            own = self._own(message)
            record = self._loads(message.value or b"")
            place = (message.partition, message.offset) if self._apart else ()
            return (*[get(record, message) for get in self._getters], *place, own)
        except KeyError as error:
            raise InvalidRecordError(f"the header {error} is missing") from error
        except ValueError as error:
            raise InvalidRecordError(f"the message cannot be read: {error}") from error


def identify(sink: PostgresSink) -> Callable[[Row], Any]:
    """Return what tells a row's identity: its key (Upsert) or its record id (Append)."""
    if sink.mode is WriteMode.APPEND:
        return itemgetter(-1)
    places = [list(sink.columns).index(name) for name in sink.key]
    if any(sink.columns[name].type.endswith("[]") for name in sink.key):
        return lambda row: tuple(repr(row[place]) for place in places)
    return itemgetter(*places)


def _version(message: Message) -> int:
    return int(dict(message.headers)[wire.VERSION])


def _record_id(message: Message) -> str:
    headers = dict(message.headers)
    return wire.record_id(headers[wire.ITEM].decode(), int(headers[wire.ORDINAL]))


def bookkeeping_column(sink: PostgresSink) -> str:
    """Return the column that Sluice itself fills: the version, or the record id."""
    return sink.version_column if sink.mode is WriteMode.UPSERT else sink.record_id_column


def _reader(sink: PostgresSink) -> Callable[[bytes], Any]:
    """Return what reads JSON: exactly where a column shows each digit, else as fast as it can."""
    types = [column.type.parts for column in sink.columns.values()]
    if any(kind.base == "numeric" and not kind.modifiers for kind in types):
        return _exact_loads
    kept = any(kind.base in {"numeric", "json", "jsonb"} for kind in types)
    return _careful_loads if kept else orjson.loads


def _exact_loads(value: bytes) -> Any:
    """Read JSON without turning 0.1 into the nearest binary fraction."""
    return json.loads(value, parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _careful_loads(value: bytes) -> Any:
    """Read JSON exactly if it may hold a number of more digits than a double keeps."""
    return _exact_loads(value) if _MANY_DIGITS.search(value) else orjson.loads(value)


def _column(name: str, column: Column, sink: PostgresSink) -> Getter:
    find = _METADATA[column.metadata] if column.metadata else _path(column.path or f"$.{name}")
    convert = converter(column)
    required = not column.nullable or name in sink.key

    def get(record: Any, message: Message) -> Any:
        value = find(record, message)
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
        return lambda record, _: record.get(member) if isinstance(record, dict) else None

    def get(record: Any, _message: Message) -> Any:
        value = record
        for step in steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return value

    return get


def _fetched_at(_record: Any, message: Message) -> str:
    return datetime.fromtimestamp(message.timestamp / 1000, UTC).isoformat()


_METADATA: Final[dict[Metadata, Getter]] = {
    Metadata.KEY: lambda _, message: (message.key or b"").decode(),
    Metadata.ITEM_ID: lambda _, message: dict(message.headers)[wire.ITEM].decode(),
    Metadata.RECORD_ID: lambda _, message: _record_id(message),
    Metadata.FETCHED_AT: _fetched_at,
}
