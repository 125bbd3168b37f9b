"""An HTTP API that costs its clients nothing but the wait, and remembers what it was asked."""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
from typing import Final, Self, cast

import uvloop

RECORD: Final = (
    b'{"id": 4711, "name": "Ada Lovelace", "email": "ada@example.org", "active": true,'
    b' "score": 98.25, "updated_at": "2026-03-01T12:00:00Z"}'
)
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(RECORD), RECORD)
)
_PATH: Final = b"GET /"
"""What a request begins with; the item's number follows."""
_END: Final = b"\r\n\r\n"
REMEMBERED: Final = 1 << 20
"""Requests whose time is remembered."""
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Log:
    """What the serving process tells the others."""

    served: "Synchronized[int]"
    asked: "Synchronized[int]"
    times: "SynchronizedArray[float]"
    numbers: "SynchronizedArray[int]"

    @classmethod
    def empty(cls) -> Self:
        """Make one, in shared memory."""
        served, asked = (_spawn.Value("Q", 0, lock=False) for _ in range(2))
        times, numbers = (_spawn.Array(kind, REMEMBERED, lock=False) for kind in "dQ")
        return cls(served, asked, times, numbers)

    def note(self, number: int) -> None:
        """Note a request for an item that came now."""
        place = self.asked.value % REMEMBERED
        self.times[place], self.numbers[place] = time.monotonic(), number
        self.asked.value += 1


@dataclass(frozen=True, slots=True)
class Api:
    """The API as others see it."""

    port: int
    _log: Log

    @property
    def served(self) -> int:
        """Answers given so far: what clients are judged by."""
        return self._log.served.value

    @property
    def asked(self) -> list[float]:
        """When each request came, monotonic seconds, the first first."""
        return self._log.times[: min(self._log.asked.value, REMEMBERED)]

    @property
    def numbers(self) -> list[int]:
        """The item of each of these requests."""
        return self._log.numbers[: min(self._log.asked.value, REMEMBERED)]


def busiest(times: Sequence[float], seconds: float) -> int:
    """Return the most of the times, in order, that fall into one window, wherever it begins."""
    first, most = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@contextmanager
def api(delay: float) -> Iterator[Api]:
    """Serve on a loopback port, in a process of its own; each answer comes ``delay`` s late."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        port = listening.getsockname()[1]
        log = Log.empty()
        process = _spawn.Process(target=_serve, args=(listening, log, delay), daemon=True)
        process.start()
    try:
        yield Api(port, log)
    finally:
        process.terminate()
        process.join()


class _Connection(asyncio.Protocol):
    def __init__(self, log: Log, delay: float) -> None:
        self._log = log
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        # Clients send one small request at a time: it arrives whole.
        if data.endswith(_END):
            self._log.note(int(data[len(_PATH) : data.index(b" ", len(_PATH))]))
            self._loop.call_later(self._delay, self._answer)

    def _answer(self) -> None:
        if self._transport is not None:
            self._log.served.value += 1
            self._transport.write(_ANSWER)


def _serve(listening: socket.socket, log: Log, delay: float) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(log, delay), sock=listening)
        await server.serve_forever()

    uvloop.run(run())
