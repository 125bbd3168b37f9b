"""An answer's bytes, read from the wire into a reader, within bounds of size and pace."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from sluice_workers.fetch.http.answer import Reader
from sluice_workers.fetch.http.arriving import Share
from sluice_workers.fetch.http.body import TooLargeError, decoder
from sluice_workers.fetch.http2.session import Response

GRACE: Final = 5.0
"""Seconds that an answer may begin slowly."""
LONGEST_NUMBER: Final = 20
"""Digits of a content-length that are read."""


class TooSlowError(ValueError):
    """The answer comes slower than it may; the message says how fast."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long an answer may be, and how slow."""

    most_bytes: int
    """Encoded as well as decoded."""
    least_rate: int
    """Bytes a second, encoded."""

    async def read(
        self, response: Response, reader: Reader, share: Share, limit: asyncio.Timeout
    ) -> None:
        """Read to the end; what a large answer waits for others counts for no bound of time.

        Raises ``TooLargeError``, ``TooSlowError``, ``MalformedAnswerError`` and what the reader and
        the connection raise.
        """
        decode = decoder(response.headers.get("content-encoding"))
        length = response.headers.get("content-length", "") if decode is None else ""
        expected = self._expected(length)
        content = response.content
        begin, arrived, size = time.monotonic(), 0, 0
        while not content.at_eof() and (chunk := await content.readany()):
            arrived += len(chunk)
            self._check(arrived, begin)
            for piece in (chunk,) if decode is None else decode.feed(chunk):
                size += len(piece)
                if size > self.most_bytes:
                    raise self._too_large()
                if share.lacks(size):
                    begin += await share.cover(max(size, expected), limit)
                reader.feed(piece)
        if decode is not None:
            decode.end()
        reader.end()

    def _expected(self, length: str) -> int:
        """Return how long an answer is, as far as it tells; 0 where it does not."""
        known = length.isascii() and length.isdigit() and len(length) < LONGEST_NUMBER
        return min(int(length), self.most_bytes) if known else 0

    def _check(self, arrived: int, begin: float) -> None:
        if arrived > self.most_bytes:
            raise self._too_large()
        took = time.monotonic() - begin
        if took > GRACE and arrived < took * self.least_rate:
            raise TooSlowError(
                f"the answer comes at {arrived / took:.0f} bytes a second, less than"
                f" minBytesPerSecond ({self.least_rate})"
            )

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"the answer is longer than maxResponseBytes ({self.most_bytes})")
