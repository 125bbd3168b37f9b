"""The records in an API's answer; pure."""

import codecs
from collections.abc import Mapping
from typing import Final, Protocol

import orjson

from sluice_api.http import Format, Http, Missing
from sluice_workers import kafka, wire
from sluice_workers.fetch.http.body import MalformedAnswerError, TooLargeError
from sluice_workers.fetch.http.jsonpath import Path, kind

_WHOLE: Final = "$"
_MARK: Final = codecs.BOM_UTF8
"""What some servers begin with; RFC 8259 lets readers pass it over."""

_GZIP: Final = b"\x1f\x8b"


class Reader(Protocol):
    """Takes an answer in pieces, and gives its records."""

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Raises ``MalformedAnswerError`` and ``TooLargeError``."""

    def end(self) -> None:
        """Take the end. Raises ``MalformedAnswerError`` and ``TooLargeError``."""

    @property
    def document(self) -> object:
        """The answer; None where it is none, or a document a line."""

    def records(self) -> tuple[bytes, ...]:
        """Its records, each as JSON text. Raises like ``feed``."""


class Records:
    """Finds the records in documents."""

    def __init__(self, http: Http) -> None:
        """Compile the paths. Raises ``ConfigurationError``."""
        self._path = Path(http.records, "source.http.records")
        self._fields = {
            name: Path(path, f"source.http.fields.{name}") for name, path in http.fields.items()
        }
        self._elements = f"; {http.records}[*] selects its elements"
        self._may_lack = http.missing_records is Missing.IGNORE
        self._as_it_comes = http.records == _WHOLE and not http.fields
        self._lines = http.format is Format.NDJSON

    def reader(self) -> Reader:
        """Return a new reader of an answer that is a success."""
        return Lines(self) if self._lines else Whole(self)

    def of(self, document: object, text: bytes) -> tuple[bytes, ...]:
        """The records of a document that was read from ``text``."""
        if self._as_it_comes and isinstance(document, dict):
            # As it came: to write it anew would round long numbers.
            return (_bounded(text),)
        found = tuple(map(self._record, self._path.all(document)))
        if not found and not self._may_lack and (gap := self._path.gap(document)) is not None:
            raise MalformedAnswerError(
                f"records is {self._path.text}, but {gap}; missingRecords: Ignore would take that"
                " for no records"
            )
        return found

    def _record(self, value: object) -> bytes:
        if not isinstance(value, dict):
            raise MalformedAnswerError(
                f"records is {self._path.text}, which must select JSON objects, found {kind(value)}"
                f"{self._elements if isinstance(value, list) else ''}"
            )
        try:
            return _bounded(wire.json_text(self._mapped(value) if self._fields else value))
        except TypeError as error:
            raise MalformedAnswerError(f"a record cannot be written as JSON: {error}") from error

    def _mapped(self, record: Mapping[str, object]) -> dict[str, object]:
        found = {name: list(path.all(record))[:1] for name, path in self._fields.items()}
        return {name: values[0] for name, values in found.items() if values}


class Whole:
    """Reads an answer that is one document."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._pieces: list[bytes] = []
        self._text = b""
        self._document: object = None
        self._error: orjson.JSONDecodeError | None = None

    def feed(self, piece: bytes) -> None:
        """Keep a piece."""
        self._pieces.append(piece)

    def end(self) -> None:
        """Parse; what is no JSON is an error only where records are wanted."""
        text = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._text, self._pieces = text.removeprefix(_MARK), []
        try:
            self._document = orjson.loads(self._text)
        except orjson.JSONDecodeError as error:
            self._error = error

    @property
    def document(self) -> object:
        """The answer; None where it is no JSON."""
        return self._document

    def records(self) -> tuple[bytes, ...]:
        """The records in it."""
        if self._error is not None:
            raise _no_json("the answer", self._text, self._error) from self._error
        return self._records.of(self._document, self._text)


class Lines:
    """Reads an answer that is a document a line, as the lines come; empty lines are none."""

    document = None

    def __init__(self, records: Records) -> None:
        self._records = records
        self._found: list[bytes] = []
        self._begun: list[bytes] = []
        self._number = 0

    def feed(self, piece: bytes) -> None:
        """Read the lines that end in a piece."""
        *ended, begun = piece.split(b"\n")
        for line in ended:
            self._line(b"".join([*self._begun, line]))
            self._begun = []
        self._begun.append(begun)

    def end(self) -> None:
        """Read the last line, which need not end."""
        self._line(b"".join(self._begun))

    def records(self) -> tuple[bytes, ...]:
        """The records of all lines."""
        return tuple(self._found)

    def _line(self, line: bytes) -> None:
        self._number += 1
        text = line.removeprefix(_MARK).strip() if self._number == 1 else line.strip()
        if not text:
            return
        try:
            self._found += self._records.of(orjson.loads(text), text)
        except orjson.JSONDecodeError as error:
            raise _no_json(f"line {self._number} of the answer", text, error) from error
        except MalformedAnswerError as error:
            raise MalformedAnswerError(f"line {self._number} of the answer: {error}") from error


def _no_json(what: str, text: bytes, error: orjson.JSONDecodeError) -> MalformedAnswerError:
    hint = ""
    if text.startswith(_GZIP):
        hint = "; it is gzip, which no content-encoding says"
    elif (error.lineno, error.colno) == (2, 1):
        hint = "; a document a line is format: NDJSON"
    return MalformedAnswerError(f"{what} must be JSON: {error}{hint}")


def _bounded(record: bytes) -> bytes:
    if len(record) > kafka.MAX_VALUE_BYTES:
        raise TooLargeError(
            f"a record has {len(record)} bytes, the broker takes {kafka.MAX_VALUE_BYTES}"
        )
    return record
