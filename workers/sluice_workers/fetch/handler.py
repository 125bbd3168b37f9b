"""One attempt at an item by the user's own coroutine."""

import asyncio
import importlib
import inspect
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Self, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from sluice_api import source
from sluice_api.errors import ConfigurationError
from sluice_handler import Context, GiveUp, Handler, RateLimited, Record, Retry
from sluice_handler import Item as HandedItem
from sluice_workers import kafka, wire
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Gate, Origin
from sluice_workers.fetch.connection import ERRORS, Tally, causes, connection_failure
from sluice_workers.fetch.http.body import TooLargeError
from sluice_workers.fetch.http.template import InvalidItemError, attributes
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.kept_headers import kept_headers
from sluice_workers.fetch.outcome import Failure, Fetched, size_of
from sluice_workers.fetch.quota import exhausted_for
from sluice_workers.fetch.retry import heeded, parse_retry_after
from sluice_workers.fetch.routes import Route
from sluice_workers.fetch.untold import of_values
from sluice_workers.wire import FailureReason

FIELD: Final = "source.handler.function"
ORIGIN: Final[Origin] = "the handler"
"""A handler may ask whom it likes: it is up or down as a whole."""
Permission = Callable[[], Awaitable[None]]
"""Waits until another request may start."""


@dataclass(slots=True)
class _Attempt:
    """What the requests of one attempt have shown."""

    route: Route
    requests: int = 0
    rest: float | None = None
    """Seconds until the API's quota is there again, if it says that none is left."""


_ATTEMPT: Final[ContextVar[_Attempt]] = ContextVar("attempt")


class InvalidRecordError(ValueError):
    """A record that is no JSON object; the message says what it is."""


_REASONS: Final[dict[type[Exception], FailureReason]] = {
    InvalidItemError: FailureReason.INVALID_ITEM,
    TooLargeError: FailureReason.TOO_LARGE,
    InvalidRecordError: FailureReason.INVALID_RECORD,
    GiveUp: FailureReason.GIVEN_UP,
}


class HandlerApi:
    """Asks the user's coroutine for one item per call."""

    def __init__(
        self,
        settings: source.Handler,
        secrets: Mapping[str, str],
        permission: Permission,
        gate: Gate,
        addresses: Addresses,
    ) -> None:
        """Import the coroutine. Raises ``ConfigurationError`` when that cannot be done."""
        self._handler = load(settings.function)
        self._timeout = settings.timeout.seconds
        self._max_bytes = settings.max_item_bytes
        # What one item's answer sets is nothing to the next item.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = _Client(
            transport=_Transport(permission, addresses), timeout=self._timeout, cookies=no_cookies
        )
        self._context = Context(self._client, settings.parameters, secrets)
        self._untold = of_values(secrets.values())
        self._gate = gate

    def origin(self, item: Item) -> Origin:  # noqa: ARG002  the handler stands for all
        """Return what is up or down for an item."""
        return ORIGIN

    async def ask(self, item: Item, route: Route) -> Fetched | Failure:
        """Have one item fetched, within the timeout."""
        attempt = _Attempt(route)
        _ATTEMPT.set(attempt)
        try:
            handed = HandedItem(item.text_key, attributes(item))
            async with asyncio.timeout(self._timeout):
                records = await self._records(handed)
        except TimeoutError:
            message = f"the handler did not return within {self._timeout:g} s"
            return Failure(FailureReason.TIMEOUT, message, origin=ORIGIN)
        except BaseException as error:  # a user's code may raise anything, `sys.exit()` included
            if _cancelled():
                raise
            found = failure(error, datetime.now(UTC))
            headers = tuple((name, self._untold.hidden(value)) for name, value in found.headers)
            message = self._untold.hidden(found.message)
            return replace(found, message=message, headers=headers, origin=ORIGIN)
        self._gate.answered(ORIGIN)
        return Fetched(records, datetime.now(UTC), attempt.rest)

    async def _records(self, item: HandedItem) -> tuple[bytes, ...]:
        found, size = [], 0
        async for record in _each(self._handler(item, self._context)):
            text = encoded(record)
            found.append(text)
            size += size_of((text,))
            if size > self._max_bytes:
                raise TooLargeError(
                    f"the item's records are longer than maxItemBytes ({self._max_bytes})"
                )
        return tuple(found)


class _Client(httpx.AsyncClient):
    """A client that outlives the handler that closes it: the other items use it too."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stay open."""

    async def aclose(self) -> None:
        """Stay open."""


class _Transport(httpx.AsyncBaseTransport):
    """The job's connections, its rate limit, and the API's quota, for httpx."""

    def __init__(self, permission: Permission, addresses: Addresses) -> None:
        self._permission = permission
        self._addresses = addresses
        self._tls = httpx.create_ssl_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        attempt = _ATTEMPT.get()
        attempt.requests += 1
        if attempt.requests > 1:
            await self._permission()
        if attempt.route.proxy is not None:
            self._addresses.check(request.url.host)
        request.headers.update(attempt.route.headers or {})
        session = attempt.route.session
        assert isinstance(session, aiohttp.ClientSession)  # noqa: S101  HTTP/2 is http's
        transport = AiohttpTransport(verify=self._tls, client=session)
        response = await _sent(transport, request, attempt.route.tally)
        attempt.rest = exhausted_for(response.headers, datetime.now(UTC).timestamp())
        return response


async def _sent(
    transport: AiohttpTransport, request: httpx.Request, tally: Tally | None
) -> httpx.Response:
    if tally is None:
        return await transport.handle_async_request(request)
    return await tally.patiently(lambda: transport.handle_async_request(request))


def load(function: str) -> Handler:
    """Import ``module:function``. Raises ``ConfigurationError``."""
    module, _, name = function.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise ConfigurationError(
            f"{FIELD}: {module} cannot be imported: {_told(error)}; fetcher.image must name an"
            " image that holds it"
        ) from error
    if not (inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found)):
        raise ConfigurationError(
            f"{FIELD}: must name an async function, found"
            f" {'nothing' if found is None else type(found).__name__} at {function}"
        )
    return cast("Handler", found)


async def _each(
    returned: Awaitable[Iterable[Record]] | AsyncIterator[Record],
) -> AsyncIterator[Record]:
    if isinstance(returned, AsyncIterator):
        async for record in returned:
            yield record
        return
    records = await returned
    if isinstance(records, Mapping) or not isinstance(records, Iterable):
        raise InvalidRecordError(
            f"the handler must return a list of records, found {type(records).__name__}"
        )
    for record in records:
        yield record


def encoded(record: object) -> bytes:
    """Return a record's JSON text. Raises ``InvalidRecordError`` and ``TooLargeError``."""
    if not isinstance(record, Mapping):
        raise InvalidRecordError(f"a record must be a mapping, found {type(record).__name__}")
    try:
        text = wire.json_text(record if isinstance(record, dict) else dict(record))
    except TypeError as error:
        raise InvalidRecordError(f"a record cannot be written as JSON: {error}") from error
    if len(text) > kafka.MAX_VALUE_BYTES:
        raise TooLargeError(
            f"a record has {len(text)} bytes, the broker takes {kafka.MAX_VALUE_BYTES}"
        )
    return text


def failure(error: BaseException, now: datetime) -> Failure:
    """Tell what an exception means for the item."""
    match error:
        case InvalidItemError() | TooLargeError() | InvalidRecordError() | GiveUp():
            reason = next(reason for kind, reason in _REASONS.items() if isinstance(error, kind))
            return Failure(reason, str(error))
        case Retry():
            return Failure(FailureReason.RETRIED, str(error), retry_after=_heeded(error.after))
        case RateLimited():
            status = HTTPStatus.TOO_MANY_REQUESTS
            return Failure(FailureReason.HTTP_STATUS, str(error), status, _heeded(error.after))
        case httpx.HTTPStatusError():
            return _refused(error.response, now)
        case json.JSONDecodeError() | httpx.DecodingError():
            return Failure(FailureReason.MALFORMED, f"the answer cannot be read: {error}")
        case httpx.TransportError():
            return _broken(error)
    if isinstance(error, ERRORS):
        return connection_failure(error)
    return Failure(FailureReason.HANDLER_ERROR, _told(error))


def _broken(error: httpx.TransportError) -> Failure:
    found = connection_failure(error)
    # The transport calls every broken connection a ConnectTimeout: its cause tells.
    timed_out = any(isinstance(cause, TimeoutError) for cause in causes(error))
    if found.reason is not FailureReason.CONNECTION or not timed_out:
        return found
    message = f"no answer within the client's time-out ({type(error).__name__})"
    return replace(found, reason=FailureReason.TIMEOUT, message=message)


def _refused(response: httpx.Response, now: datetime) -> Failure:
    return Failure(
        FailureReason.HTTP_STATUS,
        f"the API answered {response.status_code} {response.reason_phrase}".strip(),
        response.status_code,
        parse_retry_after(response.headers.get("retry-after"), now),
        exhausted_for(response.headers, now.timestamp()),
        kept_headers(response.headers),
    )


def _heeded(after: float | None) -> float | None:
    return heeded(after) if after is not None else None


def _cancelled() -> bool:
    """Whether it is the process that ends what runs here, rather than the handler itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _told(error: BaseException) -> str:
    """Return type and message of an exception, and the line that raised it."""
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if "importlib" not in frame.filename]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return "".join(traceback.format_exception_only(error)).strip() + where
