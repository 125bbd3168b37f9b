"""The bytes of an answer: content codings undone piece by piece, within bounds; pure."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli
from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

PIECE: Final = 64 << 10
"""Bytes that come out of a decoder at once, about."""
MAX_MEMBERS: Final = 64
"""Compressed streams that one answer may be made of."""
WINDOW_LOG: Final = 23
"""Zstandard's window is at most 8 MiB, as RFC 9659 wants it for HTTP."""


class MalformedAnswerError(ValueError):
    """An answer from which no records can be read; the message says why."""


class TooLargeError(ValueError):
    """The answer, or one record of it, is longer than it may be; the message says how long."""


class _Stream(Protocol):
    """One compressed stream."""

    @property
    def ended(self) -> bool: ...

    @property
    def rest(self) -> bytes:
        """What came after its end."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode; each piece is decoded only when it is asked for."""


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._inner.decompress(data, PIECE)
            yield piece
            data = self._inner.unconsumed_tail
            if self.ended or (not data and len(piece) < PIECE):
                return


class _Zstd:
    def __init__(self) -> None:
        self._inner = ZstdDecompressor(options={DecompressionParameter.window_log_max: WINDOW_LOG})

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data, PIECE)
        while not (self.ended or self._inner.needs_input):
            yield self._inner.decompress(b"", PIECE)


class _Brotli:
    rest = b""
    """The library refuses what comes after the end."""

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._inner.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = self._inner.process(data, output_buffer_limit=PIECE)
        yield piece
        # A full piece may leave output behind, also where all input was taken.
        while not self.ended and (len(piece) >= PIECE or not self._inner.can_accept_more_data()):
            piece = self._inner.process(b"", output_buffer_limit=PIECE)
            yield piece


_ERRORS: Final = (zlib.error, ZstdError, brotli.error)
_STREAMS: Final[dict[str, Callable[[], _Stream]]] = {
    "gzip": _Gzip,
    "br": _Brotli,
    "zstd": _Zstd,
}
CODINGS: Final = tuple(_STREAMS)
"""The content codings that are understood."""


class Decoder:
    """Undoes one content coding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._make = _STREAMS[coding]
        self._stream: _Stream | None = None
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode. Raises ``MalformedAnswerError``."""
        while data:
            if self._stream is None or self._stream.ended:
                self._begin()
            assert self._stream is not None  # noqa: S101  just begun
            try:
                yield from self._stream.feed(data)
            except _ERRORS as error:
                raise MalformedAnswerError(f"the answer is no {self._coding}: {error}") from error
            data = self._stream.rest if self._stream.ended else b""

    def end(self) -> None:
        """Note that nothing more comes. Raises ``MalformedAnswerError`` when something lacks."""
        if self._stream is not None and not self._stream.ended:
            raise MalformedAnswerError(f"the answer's {self._coding} ends in the middle")

    def _begin(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise MalformedAnswerError(
                f"the answer is made of more than {MAX_MEMBERS} streams of {self._coding}"
            )
        self._stream = self._make()


def decoder(encoding: str | None) -> Decoder | None:
    """Return what undoes a Content-Encoding. Raises ``MalformedAnswerError`` for an unknown one."""
    if encoding is None:
        return None
    coding = encoding.strip().lower().removeprefix("x-")
    if coding in {"", "identity"}:
        return None
    if coding not in _STREAMS:
        raise MalformedAnswerError(
            f"the answer's content-encoding must be one of {', '.join(CODINGS)}, found"
            f" {encoding[:80]!r}"
        )
    return Decoder(coding)
