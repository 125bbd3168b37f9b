"""An HTTP API that costs its clients nothing but the wait: one fixed answer after a delay."""

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Final, cast

import uvloop

RECORD: Final = (
    b'{"id": 4711, "name": "Ada Lovelace", "email": "ada@example.org", "active": true,'
    b' "score": 98.25, "updated_at": "2026-03-01T12:00:00Z"}'
)
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(RECORD), RECORD)
)
_END: Final = b"\r\n\r\n"
_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Api:
    """The API as others see it."""

    port: int
    _served: "Synchronized[int]"

    @property
    def served(self) -> int:
        """Answers given so far: what clients are judged by."""
        return self._served.value


@contextmanager
def api(delay: float) -> Iterator[Api]:
    """Serve on a loopback port, in a process of its own; each answer comes ``delay`` s late."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        port = listening.getsockname()[1]
        served: Synchronized[int] = _spawn.Value("Q", 0, lock=False)
        process = _spawn.Process(target=_serve, args=(listening, served, delay), daemon=True)
        process.start()
    try:
        yield Api(port, served)
    finally:
        process.terminate()
        process.join()


class _Connection(asyncio.Protocol):
    def __init__(self, served: "Synchronized[int]", delay: float) -> None:
        self._served = served
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
            self._loop.call_later(self._delay, self._answer)

    def _answer(self) -> None:
        if self._transport is not None:
            self._served.value += 1
            self._transport.write(_ANSWER)


def _serve(listening: socket.socket, served: "Synchronized[int]", delay: float) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(served, delay), sock=listening)
        await server.serve_forever()

    uvloop.run(run())
