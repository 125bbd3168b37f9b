"""Pools of connections, counted while they are open; and what their errors mean."""

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

import aiohttp
import aiohttp_socks
from aiohttp import ClientRequest, hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.tracing import Trace
from aiohttp_socks import ProxyConnector, ProxyType
from multidict import CIMultiDict
from yarl import URL

from sluice_workers.fetch.addresses import Addresses, ForbiddenAddressError
from sluice_workers.fetch.http2.pool import HTTP_1, HTTP_2, tls
from sluice_workers.fetch.http2.session import Http2Session
from sluice_workers.fetch.outcome import Failure
from sluice_workers.fetch.proxy import Proxy
from sluice_workers.wire import FailureReason

Result = TypeVar("Result")
Session = aiohttp.ClientSession | Http2Session
"""A pool of connections; requests are made of both alike."""

PATIENCE: Final = 0.5
"""Seconds that a request waits for another's connection to be closed."""
IDLE: Final = 15.0
"""Seconds that a connection stays open without a request."""

_PROXY_ERRORS: Final = (
    aiohttp.ClientProxyConnectionError,
    aiohttp_socks.ProxyConnectionError,
    aiohttp_socks.ProxyError,
    aiohttp_socks.ProxyTimeoutError,
)
ERRORS: Final = (aiohttp.ClientError, OSError, *_PROXY_ERRORS)
"""What a request raises when its connection fails."""


class NoPermitError(OSError):
    """A connection that was not opened, because none may be."""


class Tally:
    """How many connections are open, and whether one more may be."""

    def __init__(self, may_open: Callable[[], bool]) -> None:
        self.open = 0
        self._may_open = may_open
        self._closed = asyncio.Event()

    def take(self) -> None:
        """Count one more. Raises ``NoPermitError``."""
        if not self._may_open():
            raise NoPermitError("no permit is left for one more connection")
        self.open += 1

    def give_back(self) -> None:
        """Count one less."""
        self.open -= 1
        self._closed.set()

    async def patiently(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Make an attempt again when it lacked a permit, as soon as a connection is closed.

        A connection closes an instant after its request is over. Raises what the attempt raises.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            self._closed.clear()
            try:
                return await attempt()
            except Exception as error:
                if not lacks_permit(error) or time.monotonic() > deadline:
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._closed.wait()

    def socket(self, address: Any) -> socket.socket:
        """Make a socket that counts until it is closed. Raises ``NoPermitError``."""
        self.take()
        family, kind, protocol, *_ = address
        try:
            return _Counted(self, family, kind, protocol)
        except OSError:
            self.give_back()
            raise


class _Counted(socket.socket):
    """A socket that counts until it is closed."""

    def __init__(self, tally: Tally, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._tally: Tally | None = tally

    def close(self) -> None:
        super().close()
        self._uncount()

    def detach(self) -> int:
        """Let uvloop close it, which takes the file descriptor to do so."""
        self._uncount()
        return super().detach()

    def _uncount(self) -> None:
        if self._tally is not None:
            self._tally.give_back()
            self._tally = None


class _Protocol(ResponseHandler):
    """A connection that nobody uses again once it said what nobody had asked for.

    Servers end idle connections with an answer 408, faulty ones answer twice: the next request
    would take such an answer for its own, and the one after that the answer of another item.
    """

    def is_connected(self) -> bool:
        return super().is_connected() and not self.should_close


class _SocksConnector(ProxyConnector):
    """Connections through SOCKS5, which open their sockets elsewhere, counted all the same."""

    def __init__(self, tally: Tally | None, **options: Any) -> None:
        super().__init__(**options)
        self._tally = tally

    async def _connect_via_proxy(self, *args: Any, **options: Any) -> Any:
        tally = self._tally
        if tally is None:
            return await super()._connect_via_proxy(*args, **options)
        tally.take()
        try:
            transport, protocol = await super()._connect_via_proxy(*args, **options)
        except BaseException:
            tally.give_back()
            raise
        if protocol.closed is None:
            tally.give_back()
        else:
            protocol.closed.add_done_callback(lambda _: tally.give_back())
        return transport, protocol


class _ProxyConnector(aiohttp.TCPConnector):
    """Connections through HTTP proxies: what is wrong with a proxy's name or TLS is the proxy's."""

    def __init__(self, account: str | None, **options: Any) -> None:
        """``account`` is what proves to the proxy who asks."""
        super().__init__(**options)
        self._account = account

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's name
    ) -> aiohttp.connector.Connection:
        if self._account is not None:
            credentials = {hdrs.PROXY_AUTHORIZATION: self._account}
            # The one is said when a tunnel is asked for; where there is none, the proxy reads the
            # request's own.
            req.proxy_headers = CIMultiDict(credentials)
            if not req.is_ssl():
                req.headers.update(credentials)
        return await super().connect(req, traces, timeout)

    async def _create_direct_connection(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._create_direct_connection(*args, **options)
        except (aiohttp.ClientConnectorDNSError, aiohttp.ClientSSLError) as error:
            kind = options.get("client_error")
            if kind is not aiohttp.ClientProxyConnectionError:
                raise
            raise kind(error._conn_key, error) from error  # noqa: SLF001


def open_session(
    limit: int,
    addresses: Addresses,
    proxy: Proxy | None = None,
    tally: Tally | None = None,
    *,
    http2: bool = False,
) -> Session:
    """Open a pool; to be called inside the event loop that uses it.

    ``limit`` bounds the connections by HTTP/1.1.
    """
    through = None
    if proxy is not None and proxy.scheme != "socks5":
        through = URL.build(scheme=proxy.scheme, host=proxy.host, port=proxy.port)
    # aiohttp's own TLS would do for HTTP/1.1, but trust what was trusted when it was imported.
    options = {"ssl": tls(HTTP_1)} if http2 else {}
    connector: Any = _connector(limit, addresses, proxy, tally, **options)
    connector._factory = functools.partial(_Protocol, loop=asyncio.get_running_loop())  # noqa: SLF001
    session = aiohttp.ClientSession(
        connector=connector,
        proxy=through,
        # What one item's answer sets is nothing to the next item.
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    if not http2:
        return session
    connector = _connector(0, addresses, proxy, tally, ssl=tls(HTTP_2, HTTP_1))
    return Http2Session(session, connector, through, IDLE)


def _connector(
    limit: int, addresses: Addresses, proxy: Proxy | None, tally: Tally | None, **options: Any
) -> aiohttp.TCPConnector:
    options |= {"limit": limit, "keepalive_timeout": IDLE}
    if proxy is not None and proxy.scheme == "socks5":
        return _SocksConnector(
            tally,
            host=proxy.host,
            port=proxy.port,
            proxy_type=ProxyType.SOCKS5,
            username=proxy.username,
            password=proxy.password,
            rdns=True,
            **options,
        )
    if tally is not None:
        # Racing two addresses would open two connections for one request.
        options["happy_eyeballs_delay"] = None
    make = tally.socket if tally is not None else _socket
    # A proxy's own address is nobody's to forbid: it may be a sidecar.
    options["socket_factory"] = addresses.guarding(make) if proxy is None else make
    if proxy is None:
        return aiohttp.TCPConnector(**options)
    account = None
    if proxy.username is not None:
        account = aiohttp.encode_basic_auth(proxy.username, proxy.password)
    return _ProxyConnector(account, **options)


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


def lacks_permit(error: BaseException) -> bool:
    """Whether a request failed because no connection might be opened."""
    return any(isinstance(cause, NoPermitError) for cause in causes(error))


def connection_failure(error: BaseException) -> Failure:
    """Tell what a failed connection means for the item, for its proxy and for the API."""
    if lacks_permit(error):
        return Failure(FailureReason.NO_PERMIT, "no connection might be opened")
    for cause in causes(error):
        match cause:
            case aiohttp.ClientHttpProxyError():
                # Its own text shows the proxy's URL.
                message = f"the proxy answered {cause.status} {cause.message}"
                return Failure(FailureReason.PROXY, message)
            case ContentEncodingError():
                return Failure(FailureReason.MALFORMED, f"the answer cannot be decoded: {cause}")
            case ForbiddenAddressError():
                return Failure(FailureReason.FORBIDDEN_ADDRESS, str(cause))
        if isinstance(cause, _PROXY_ERRORS):
            return Failure(FailureReason.PROXY, str(cause))
    return Failure(FailureReason.CONNECTION, str(error) or type(error).__name__)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it came of."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
