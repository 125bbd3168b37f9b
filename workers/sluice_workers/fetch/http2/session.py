"""Requests by HTTP/2 where servers know it, called like aiohttp's session."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from sluice_workers.fetch.http2.connection import Http2Connection
from sluice_workers.fetch.http2.pool import Pool
from sluice_workers.fetch.http2.stream import Stream, UnprocessedError

TRIES: Final = 10
"""Connections on which one request is sent at the most while servers go away before they look at
it; one that refuses a stream is given time instead, as any that fails."""
MOST_ORIGINS: Final = 256
"""Origins of which is remembered whether they know HTTP/2, besides those in use."""
Response = aiohttp.ClientResponse | Stream
"""Both have status, reason, headers and content."""


class Http2Session:
    """Pools of connections by origin; http:// and servers without HTTP/2 are aiohttp's."""

    def __init__(
        self,
        http1: aiohttp.ClientSession,
        connector: aiohttp.TCPConnector,
        proxy: URL | None,
        idle: float,
    ) -> None:
        """``connector`` offers HTTP/2; ``idle`` is the seconds that unused connections stay."""
        self._http1 = http1
        self._connector = connector
        self._proxy = proxy
        self._idle = idle
        self._pools: dict[URL, Pool] = {}

    @property
    def streams(self) -> int:
        """Requests that a connection takes at once, as far as is known.

        The greatest number of all origins: a token endpoint by HTTP/1.1 makes none of the others
        less, and what then finds no permit waits for one.
        """
        return max((pool.streams for pool in self._pools.values()), default=1)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: bytes | None = None,
        allow_redirects: bool = False,
        auto_decompress: bool = False,
    ) -> AsyncIterator[Response]:
        """Send a request; the answer is there when its headers are.

        Redirects and content codings are the caller's. Raises what aiohttp raises.
        """
        assert not allow_redirects  # noqa: S101  nobody asks for it
        assert not auto_decompress  # noqa: S101  nobody asks for it
        pool = self._pool(url)
        for number in range(1, TRIES + 1):
            connection = await pool.take() if pool is not None else None
            if connection is None:
                break
            stream = connection.open(method, url, headers, data)
            try:
                answer = await _answer(connection, stream, data, last=number == TRIES)
                if answer is not None:
                    if headers.get("connection") == "close":
                        connection.leave()
                    yield answer
                    return
            finally:
                connection.close_stream(stream)
        async with self._http1.request(
            method, url, headers=headers, data=data, allow_redirects=False, auto_decompress=False
        ) as response:
            yield response

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()
        await self._http1.close()

    def _pool(self, url: URL) -> Pool | None:
        if url.scheme != "https":
            return None
        origin = url.origin()
        if origin not in self._pools:
            if len(self._pools) >= MOST_ORIGINS:
                self._pools = {each: pool for each, pool in self._pools.items() if not pool.unused}
            self._pools[origin] = Pool(origin, self._connector, self._proxy, self._idle)
        return self._pools[origin]


async def _answer(
    connection: Http2Connection, stream: int, data: bytes | None, *, last: bool
) -> Stream | None:
    """Return the answer; None when the request may be sent anew."""
    try:
        return await connection.answer(stream, data)
    except UnprocessedError:
        if last:
            raise
        return None
