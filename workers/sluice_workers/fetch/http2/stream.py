"""One request on an HTTP/2 connection and its answer, read as aiohttp's answers are."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy


class UnprocessedError(aiohttp.ClientConnectionError):
    """The server goes away and did not look at the request: it may be sent again at once."""


class Stream:
    """An answer as it comes; ``content`` is the stream itself."""

    def __init__(self, taken: Callable[[int], None]) -> None:
        """``taken`` is told how many bytes were read: the server may send as many again."""
        self.status = 0
        self.headers = CIMultiDictProxy(CIMultiDict[str]())
        self.may_send = asyncio.Event()
        """Whether there may be room for more of the request's body."""
        self.sent = False
        """Whether the request's body was sent to its end."""
        self._taken = taken
        self._chunks: deque[bytes] = deque()
        self._owed = 0
        """Bytes of flow control that came with these."""
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def content(self) -> "Stream":
        """What the body is read from."""
        return self

    @property
    def reason(self) -> str:
        """The status in words, which HTTP/2 does not send."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self._ended or self._error is not None

    @property
    def unfinished(self) -> bool:
        """Whether one of the two sides still has something to send."""
        return self._error is None and not (self._ended and self.sent)

    def at_eof(self) -> bool:
        """Whether the whole body was read."""
        return self._ended and not self._chunks

    async def answered(self) -> None:
        """Wait for status and headers. Raises ``aiohttp.ClientConnectionError``."""
        while not self.status:
            self._raise()
            await self._wait()

    async def readany(self) -> bytes:
        """Return what there is of the body, waiting for some; nothing at its end.

        Raises ``aiohttp.ClientConnectionError`` when it ends in the middle.
        """
        while not self._chunks and not self._ended:
            self._raise()
            await self._wait()
        return self._drained()

    def answer(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take status and headers."""
        found: CIMultiDict[str] = CIMultiDict()
        for name, value in headers:
            if name == b":status":
                self.status = int(value)
            elif not name.startswith(b":"):
                found.add(
                    name.decode(errors="surrogateescape"), value.decode(errors="surrogateescape")
                )
        self.headers = CIMultiDictProxy(found)
        self._wake()

    def feed(self, data: bytes, size: int) -> None:
        """Take a part of the body, which counts for ``size`` bytes of flow control."""
        self._owed += size
        if data:
            self._chunks.append(data)
            self._wake()

    def end(self) -> None:
        """Note that the answer is whole."""
        self._ended = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Note that nothing more comes of an answer that is not whole."""
        if not self.over:
            self._error = error
            self._wake()

    def drop(self) -> None:
        """Forget what was not read."""
        self._drained()

    def _drained(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        if self._owed:
            owed, self._owed = self._owed, 0
            self._taken(owed)
        return data

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        self.may_send.set()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
