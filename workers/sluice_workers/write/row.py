"""From messages of the records topic to rows of the buffer: pure functions, compiled once."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final, Protocol

from sluice_api.column_type import TEXTS
from sluice_api.errors import SluiceError
from sluice_api.sink import Column, PostgresSink, WriteMode
from sluice_workers.write import message as headers
from sluice_workers.write.columns import UNFIT, Bulk, Values, bulk
from sluice_workers.write.convert import Converter, as_key, converter
from sluice_workers.write.decode import Decode, decoder
from sluice_workers.write.find import Find, finder, finder_of_all
from sluice_workers.write.json_reader import (
    careful_loads,
    exact_loads,
    loads,
    may_have_many_digits,
)
from sluice_workers.write.message import Message, Messages
from sluice_workers.write.record_ids import apart

SHOWN: Final = 80
"""Characters of a wrong value that a message shows."""

Row = tuple[Any, ...]
"""What one record fills: the columns in the order of the spec, where it was read if record ids are
apart, and last the one that Sluice fills."""


class Parser(Protocol):
    """Turns messages into rows."""

    def parse(self, message: Message) -> Row:
        """Parse one message. Raises ``InvalidRecordError``."""

    def parse_all(self, messages: Messages) -> list[Row] | None:
        """Parse messages; None where one must be looked at by itself."""


class InvalidRecordError(SluiceError):
    """A record does not fit the table; the message names the column, what was found and wanted."""


class RowParser:
    """Turns messages into rows of one sink."""

    def __init__(self, sink: PostgresSink) -> None:
        self.columns = (*sink.columns, bookkeeping_column(sink))
        self._getters = [_column(*each, sink) for each in sink.columns.items()]
        self._finds = [finder_of_all(*each) for each in sink.columns.items()]
        self._bulks = {name: _bulk(name, column, sink) for name, column in sink.columns.items()}
        upsert = sink.mode is WriteMode.UPSERT
        self._own = headers.version if upsert else headers.record_id
        self._all_own = headers.versions if upsert else headers.record_ids
        self._loads = _reader(sink)
        self._decode = _decoder(sink, self._bulks)
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

    def parse_all(self, messages: Messages) -> list[Row] | None:
        """Parse messages a column at a time, many times as fast as one by one.

        Returns None where one must be looked at by itself, be it only to tell what is wrong.
        """
        try:
            own = self._all_own(messages)
            columns = self._columns(messages)
        except (KeyError, IndexError, *UNFIT):
            return None
        if self._apart:
            columns.append([message.partition for message in messages])
            columns.append([message.offset for message in messages])
        return list(zip(*columns, own, strict=True))

    def _columns(self, messages: Messages) -> list[Values]:
        if self._decode is not None:
            with suppress(*UNFIT):
                return self._decode(messages)
        records = [self._loads(message.value or b"") for message in messages]
        ways = zip(self._finds, self._bulks.values(), strict=True)
        return [convert(find(records, messages)) for find, convert in ways]


def identify(sink: PostgresSink) -> Callable[[Row], Any]:
    """Return what tells a row's identity: its key (Upsert) or its record id (Append)."""
    if sink.mode is WriteMode.APPEND:
        return itemgetter(-1)
    places = [list(sink.columns).index(name) for name in sink.key]
    if any(sink.columns[name].type.endswith("[]") for name in sink.key):
        return lambda row: tuple(repr(row[place]) for place in places)
    return itemgetter(*places)


def bookkeeping_column(sink: PostgresSink) -> str:
    """Return the column that Sluice itself fills: the version, or the record id."""
    return sink.version_column if sink.mode is WriteMode.UPSERT else sink.record_id_column


def _reader(sink: PostgresSink) -> Callable[[bytes], Any]:
    """Return what reads JSON: exactly where a column shows each digit, else as fast as it can."""
    if _shows_every_digit(sink):
        return exact_loads
    return careful_loads if _shows_many_digits(sink) else loads


def _decoder(sink: PostgresSink, bulks: Mapping[str, Bulk]) -> Decode | None:
    """Return what reads JSON right to columns, of numbers what a double keeps."""
    if _shows_every_digit(sink):
        return None
    required = [name for name, column in sink.columns.items() if _required(name, column, sink)]
    decode = decoder(sink.columns, bulks, required)
    if decode is None or not _shows_many_digits(sink):
        return decode

    def careful(messages: Messages) -> list[Values]:
        if any(may_have_many_digits(message.value or b"") for message in messages):
            raise ValueError("a number may have more digits than a double keeps")
        return decode(messages)

    return careful


def _shows_every_digit(sink: PostgresSink) -> bool:
    types = [column.type.parts for column in sink.columns.values()]
    return any(kind.base == "numeric" and not kind.modifiers for kind in types)


def _shows_many_digits(sink: PostgresSink) -> bool:
    types = [column.type.parts for column in sink.columns.values()]
    return any(
        kind.own or kind.base in {"numeric", "json", "jsonb"} or (kind.array and kind.base in TEXTS)
        for kind in types
    )


def _column(name: str, column: Column, sink: PostgresSink) -> Find:
    find, convert = finder(name, column), _converter(name, column, sink)
    required = _required(name, column, sink)

    def get(record: Any, message: Message) -> Any:
        value = find(record, message)
        if value is None:
            if required:
                raise InvalidRecordError(f"column {name} must not be null, found null")
            return None
        try:
            return convert(value)
        except UNFIT as error:
            raise InvalidRecordError(
                f"column {name}: {_shown(value)} {_why(error)}, wanted {column.type}"
            ) from error

    return get


def _bulk(name: str, column: Column, sink: PostgresSink) -> Bulk:
    one = _converter(name, column, sink)
    return bulk(column, one, required=_required(name, column, sink))


def _converter(name: str, column: Column, sink: PostgresSink) -> Converter:
    return as_key(converter(column)) if name in sink.key else converter(column)


def _required(name: str, column: Column, sink: PostgresSink) -> bool:
    return not column.nullable or name in sink.key


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "what is nested too deeply"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _why(error: Exception) -> str:
    text = str(error)
    return text if text.startswith(("is ", "holds ")) else "does not fit"
