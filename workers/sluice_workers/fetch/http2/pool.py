"""The HTTP/2 connections to one origin: as few as have room for what is in flight."""

import asyncio
import ssl
from collections import deque
from typing import Final

import aiohttp
from aiohttp import ClientRequest
from yarl import URL

from sluice_workers.fetch.http2.connection import MOST_STREAMS, Http2Connection

HTTP_1: Final = "http/1.1"
HTTP_2: Final = "h2"


def tls(*versions: str) -> ssl.SSLContext:
    """Return what offers servers these versions of HTTP, the best first."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(versions)
    return context


class Pool:
    """Opens connections through aiohttp: proxies, addresses and permits are heeded there."""

    def __init__(
        self,
        origin: URL,
        connector: aiohttp.TCPConnector,
        proxy: URL | None,
        idle: float,
    ) -> None:
        """``idle`` is the seconds that a connection stays open without a request."""
        self.http1 = False
        """Whether the server knows no HTTP/2."""
        self.streams = 1
        """Requests that one connection takes at once, as far as is known."""
        self._origin = origin
        self._connector = connector
        self._proxy = proxy
        self._idle = idle
        self._connections: list[Http2Connection] = []
        self._opening = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def unused(self) -> bool:
        """Whether nothing is open and nothing waits."""
        return not (self._connections or self._opening or self._waiters)

    async def take(self) -> Http2Connection | None:
        """Return a connection that has room for a stream, which is to be opened at once.

        None where the server knows no HTTP/2. Raises what opening a connection raises.
        """
        while not self.http1:
            for connection in self._connections:
                if connection.free:
                    return connection
            expected = self.streams if self._connections else MOST_STREAMS
            if len(self._waiters) < self._opening * expected:
                await self._wait()
            else:
                await self._open()
        return None

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def _open(self) -> None:
        self._opening += 1
        try:
            connection = await self._connected()
        except Exception as error:
            self._wake(error)
            raise
        except BaseException:
            self._wake()
            raise
        finally:
            self._opening -= 1
        if connection is None:
            self.http1 = True
        elif not connection.leaving:
            self._connections.append(connection)
            self.streams = max(1, connection.limit)
        self._wake()

    async def _connected(self) -> Http2Connection | None:
        loop = asyncio.get_running_loop()
        request = ClientRequest("GET", self._origin, loop=loop, proxy=self._proxy)
        timeout = aiohttp.ClientTimeout(total=None)
        opened = await self._connector.connect(request, traces=[], timeout=timeout)
        before, transport = opened.protocol, opened.transport
        if before is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        secured = transport.get_extra_info("ssl_object")
        if secured is None or secured.selected_alpn_protocol() != HTTP_2:
            opened.close()
            return None

        def lost(error: Exception | None) -> None:
            before.connection_lost(error)
            opened.close()

        connection = Http2Connection(transport, self._changed, lost, self._idle)
        transport.set_protocol(connection)
        # What the server said at once has come to aiohttp's protocol, which waits for a request.
        early, before._tail = before._tail, b""  # noqa: SLF001
        if early:
            connection.data_received(early)
        try:
            await connection.ready.wait()
        except BaseException:
            connection.close()
            raise
        if connection.leaving:
            raise aiohttp.ServerDisconnectedError
        return connection

    def _changed(self, connection: Http2Connection) -> None:
        if connection.leaving and connection in self._connections:
            self._connections.remove(connection)
            self._wake()
        else:
            self._wake(most=connection.free)

    def _wake(self, error: Exception | None = None, most: int | None = None) -> None:
        left = len(self._waiters) if most is None else min(most, len(self._waiters))
        for _ in range(left):
            waiter = self._waiters.popleft()
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
