"""One record as one line of JSON, and back to the same bytes; pure.

    {"partition":3,"offset":17,"timestamp":1764000000000,"key":"1001",
     "headers":{"sluice-item":"…","sluice-version":"…",…},"value":{…}}

The value stands as it was produced, character for character. Text that is not UTF-8, and a value
that is not JSON on one line, are strings that begin with ``base64:``.
"""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from sluice_api.errors import SluiceError
from sluice_workers.wire import Headers

BASE64: Final = "base64:"
_ESCAPED: Final = b'"base64:'
_VALUE: Final = b'},"value":'
"""The end of the headers: quotes inside of strings are escaped, so it is found nowhere before."""


class UnreadableLineError(SluiceError):
    """A line is not what :func:`encode` writes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message of the records topic."""

    partition: int
    offset: int
    timestamp: int
    """Epoch milliseconds."""
    key: bytes
    headers: Headers
    value: bytes


def encode(record: Record) -> bytes:
    """Return a record's line, with its line break."""
    head = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
    }
    return orjson.dumps(head)[:-2] + _VALUE + _value(record.value) + b"}\n"


def decode(line: bytes) -> Record:
    """Return a line's record. Raises ``UnreadableLineError``."""
    head, found, rest = line.rstrip(b"\n").partition(_VALUE)
    if not found or not rest.endswith(b"}"):
        raise UnreadableLineError(f"found {line[:80]!r}, wanted a line of an archive")
    try:
        content = orjson.loads(head + b"}}")
        return Record(
            partition=content["partition"],
            offset=content["offset"],
            timestamp=content["timestamp"],
            key=_bytes(content["key"]),
            headers=tuple((name, _bytes(value)) for name, value in content["headers"].items()),
            value=_raw(rest[:-1]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableLineError(f"found {line[:80]!r}: {error!r}") from error


def decode_all(lines: bytes) -> Iterator[Record]:
    """Yield the records of an object's lines. Raises ``UnreadableLineError``."""
    # Not splitlines(): JSON may hold carriage returns between its tokens.
    return map(decode, io.BytesIO(lines))


def _text(found: bytes) -> str:
    try:
        text = found.decode()
    except UnicodeDecodeError:
        return _base64(found)
    return _base64(found) if text.startswith(BASE64) else text


def _bytes(text: str) -> bytes:
    if text.startswith(BASE64):
        return base64.b64decode(text.removeprefix(BASE64), validate=True)
    return text.encode()


def _value(found: bytes) -> bytes:
    if b"\n" in found or found.startswith(_ESCAPED) or not _is_json(found):
        return orjson.dumps(_base64(found))
    return found


def _raw(value: bytes) -> bytes:
    return _bytes(orjson.loads(value)) if value.startswith(_ESCAPED) else value


def _base64(found: bytes) -> str:
    return BASE64 + base64.b64encode(found).decode()


def _is_json(found: bytes) -> bool:
    try:
        orjson.loads(found)
    except orjson.JSONDecodeError:
        return False
    return True
