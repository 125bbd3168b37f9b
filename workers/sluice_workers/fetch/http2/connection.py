"""One HTTP/2 connection: the state machine is h2's, the socket aiohttp's."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import aiohttp
from aiohttp.http import SERVER_SOFTWARE
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import NoAvailableStreamIDError, ProtocolError
from h2.settings import SettingCodes, Settings
from yarl import URL

from sluice_workers.fetch.http2.frames import FrameError, Frames, GoAway
from sluice_workers.fetch.http2.stream import Stream, UnprocessedError

MOST_STREAMS: Final = 100
"""Requests in flight on one connection, however many the server allows."""
STREAM_WINDOW: Final = 128 << 10
"""Bytes of one answer that may be on their way or wait to be read."""
WINDOW: Final = MOST_STREAMS * STREAM_WINDOW
"""Likewise of all answers of a connection: those that wait to be read hold up no other."""
DEFAULT_WINDOW: Final = 65_535
_SETTINGS: Final = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    SettingCodes.MAX_HEADER_LIST_SIZE: 64 << 10,
}
_HOP_BY_HOP: Final = frozenset(
    {"connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)
"""Headers that HTTP/2 has no place for."""


class Http2Connection(asyncio.Protocol):
    """Requests on one connection, side by side."""

    def __init__(
        self,
        transport: asyncio.Transport,
        changed: Callable[["Http2Connection"], None],
        lost: Callable[[Exception | None], None],
        idle: float,
    ) -> None:
        """``changed`` is called when streams come free or none may be opened any more.

        ``lost`` is called once, when the connection is closed; ``idle`` is the seconds that it
        stays open without a request.
        """
        self.leaving = False
        """Whether no more streams may be opened on it."""
        self.ready = asyncio.Event()
        """Set when the server has said how many streams it allows, or the connection is lost."""
        self._transport = transport
        self._changed = changed
        self._lost = lost
        self._idle = idle
        self._frames = Frames()
        self._streams: dict[int, Stream] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        # Not set one by one: h2 would hold them to be agreed upon without telling the server.
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW - DEFAULT_WINDOW)
        self._flush()

    @property
    def limit(self) -> int:
        """Streams that may be open at once."""
        return min(self._h2.remote_settings.max_concurrent_streams, MOST_STREAMS)

    @property
    def free(self) -> int:
        """Streams that may be opened now."""
        return 0 if self.leaving else max(0, self.limit - len(self._streams))

    def open(self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None) -> int:
        """Send a request's headers; return its stream. Raises ``UnprocessedError``."""
        if self._expiry is not None:
            self._expiry.cancel()
        try:
            number = self._h2.get_next_available_stream_id()
            fields = request_fields(method, url, headers, data)
            self._h2.send_headers(number, fields, end_stream=not data)
        except NoAvailableStreamIDError as error:
            self.leave()
            raise UnprocessedError("the connection has had all its streams") from error
        self._streams[number] = Stream(lambda size: self._acknowledge(size, number))
        self._flush()
        return number

    async def answer(self, number: int, data: bytes | None) -> Stream:
        """Send a request's body; return its answer. Raises ``aiohttp.ClientConnectionError``."""
        stream = self._streams[number]
        rest = memoryview(data or b"")
        while rest and not stream.over:
            stream.may_send.clear()
            window = self._h2.local_flow_control_window(number)
            size = min(len(rest), window, self._h2.max_outbound_frame_size)
            if size <= 0:
                await stream.may_send.wait()
                continue
            self._h2.send_data(number, bytes(rest[:size]), end_stream=size == len(rest))
            rest = rest[size:]
            self._flush()
        stream.sent = not rest
        await stream.answered()
        return stream

    def close_stream(self, number: int) -> None:
        """Note that nobody reads an answer any more; what is not whole is called off."""
        stream = self._streams.pop(number)
        stream.drop()
        if stream.unfinished and not self._transport.is_closing():
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()
        if not self._streams:
            self._rest()
        self._changed(self)

    def leave(self) -> None:
        """Open no more streams, and close after the last one."""
        self.leaving = True
        if not self._streams:
            self.close()
        self._changed(self)

    def close(self) -> None:
        """Close at once."""
        self.leaving = True
        if not self._transport.is_closing():
            self._h2.close_connection()
            self._flush()
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what the server sends."""
        try:
            others, away = self._frames.feed(data)
            events = self._h2.receive_data(others)
        except (ProtocolError, FrameError) as error:
            self._flush()
            self._break(aiohttp.ClientConnectionError(f"the server's HTTP/2 is broken: {error}"))
            return
        for event in events:
            self._take(event)
        for each in away:
            self._turn_away(each)
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what is not answered."""
        if self._expiry is not None:
            self._expiry.cancel()
        self.leaving = True
        why = aiohttp.ServerDisconnectedError(str(error) if error else None)
        for stream in self._streams.values():
            stream.fail(why)
        self.ready.set()
        self._lost(error)
        self._changed(self)

    def _take(self, event: Event) -> None:
        if isinstance(event, RemoteSettingsChanged):
            self.ready.set()
            self._open_windows(None)
            self._changed(self)
            return
        if isinstance(event, WindowUpdated):
            self._open_windows(event.stream_id)
            return
        number = getattr(event, "stream_id", None)
        stream = self._streams.get(number) if number is not None else None
        match event:
            case ResponseReceived() if stream is not None:
                stream.answer(event.headers)
            case DataReceived() if stream is not None:
                stream.feed(event.data, event.flow_controlled_length)
            case DataReceived():
                self._acknowledge(event.flow_controlled_length, event.stream_id)
            case StreamEnded() if stream is not None:
                stream.end()
            case StreamReset() if stream is not None:
                stream.fail(_reset(event.error_code))

    def _open_windows(self, number: int | None) -> None:
        for each, stream in self._streams.items():
            if not number or each == number:
                stream.may_send.set()

    def _turn_away(self, away: GoAway) -> None:
        for number, stream in self._streams.items():
            if number > away.last:
                stream.fail(
                    UnprocessedError(f"the server ends the connection ({_name(away.code)})")
                )
        self.leave()

    def _break(self, error: Exception) -> None:
        for stream in self._streams.values():
            stream.fail(error)
        self.leaving = True
        self._transport.close()

    def _rest(self) -> None:
        if self.leaving:
            self.close()
        else:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(self._idle, self.leave)

    def _acknowledge(self, size: int, number: int) -> None:
        if size and not self._transport.is_closing():
            self._h2.acknowledge_received_data(size, number)
            self._flush()

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._transport.write(data)


def request_fields(
    method: str, url: URL, headers: Mapping[str, str], data: bytes | None
) -> Sequence[tuple[str, str]]:
    """Return a request's header list: what was said for HTTP/1.1, without what is of it alone."""
    said = {name.lower(): value for name, value in headers.items()}
    port = "" if url.is_default_port() else f":{url.port}"
    authority = said.get("host") or f"{url.host_subcomponent}{port}"
    fields = [
        (":method", method),
        (":scheme", url.scheme),
        (":authority", authority),
        (":path", url.raw_path_qs),
        ("user-agent", SERVER_SOFTWARE),
        *((name, value) for name, value in said.items() if name not in _HOP_BY_HOP),
    ]
    if "user-agent" in said:
        fields.remove(("user-agent", SERVER_SOFTWARE))
    if data is not None and "content-length" not in said:
        fields.append(("content-length", str(len(data))))
    return fields


def _reset(code: int | None) -> Exception:
    return aiohttp.ClientConnectionError(f"the server reset the stream ({_name(code or 0)})")


def _name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return str(code)
