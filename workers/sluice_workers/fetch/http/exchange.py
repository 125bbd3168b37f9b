"""One page: a request, where it is led to, with credentials; its answer, or how it failed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from sluice_api.http import Action, Http
from sluice_workers.fetch import metrics
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Gate, OriginPausedError, origin_of
from sluice_workers.fetch.connection import ERRORS, connection_failure
from sluice_workers.fetch.http.answer import Reader, Records, Whole
from sluice_workers.fetch.http.arriving import Share
from sluice_workers.fetch.http.body import MalformedAnswerError, TooLargeError
from sluice_workers.fetch.http.credentials import (
    AuthenticationError,
    Credentials,
    Grant,
)
from sluice_workers.fetch.http.origins import (
    REDIRECTS,
    ForeignOriginError,
    Origins,
    without_query,
)
from sluice_workers.fetch.http.pagination import PaginationError
from sluice_workers.fetch.http.reading import Bounds, TooSlowError
from sluice_workers.fetch.http.request import Request
from sluice_workers.fetch.http.responses import Meaning, Responses
from sluice_workers.fetch.http.template import InvalidItemError
from sluice_workers.fetch.http2.session import Response
from sluice_workers.fetch.kept_headers import kept_headers
from sluice_workers.fetch.outcome import Failure, legible
from sluice_workers.fetch.quota import exhausted_for
from sluice_workers.fetch.retry import parse_retry_after
from sluice_workers.fetch.routes import Route
from sluice_workers.fetch.untold import Untold
from sluice_workers.wire import FailureReason

MAX_WHY: Final = 250
"""Characters of what a rule found that are told."""
Permission = Callable[[], Awaitable[None]]
"""Waits until another request may start."""


class RedirectError(ValueError):
    """A redirect that is not followed; the message says why."""


_REASONS: Final[dict[type[Exception], FailureReason]] = {
    InvalidItemError: FailureReason.INVALID_ITEM,
    TooLargeError: FailureReason.TOO_LARGE,
    TooSlowError: FailureReason.TOO_SLOW,
    MalformedAnswerError: FailureReason.MALFORMED,
    PaginationError: FailureReason.PAGINATION,
    RedirectError: FailureReason.REDIRECT,
    AuthenticationError: FailureReason.AUTHENTICATION,
}
_MEANT: Final = {
    Action.FAILURE: FailureReason.REFUSED,
    Action.RETRY: FailureReason.RETRIED,
    Action.RATE_LIMITED: FailureReason.RATE_LIMITED,
    Action.REFRESH_TOKEN: FailureReason.AUTHENTICATION,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A page that was read."""

    document: object
    records: tuple[bytes, ...]
    headers: CIMultiDictProxy[str]
    url: str
    """Where it came from: after redirects another than what was asked for."""
    rest: float | None
    """Seconds until the API's quota is there again, if it says that none is left."""
    ignored: bool
    """Whether a rule takes it for a success without records."""
    hidden: Callable[[str], str]
    """Takes what was secret in its request out of a message."""


@dataclass(slots=True)
class _Sending:
    """One request on its way, and what happened to it so far."""

    request: Request
    home: str
    route: Route
    share: Share
    grant: Grant | None = None
    refreshed: bool = False
    untold: list[Untold] = field(default_factory=list)
    """What of its credentials, and those before, no message tells."""
    visited: set[int] = field(default_factory=set)
    """The marks of what was redirected: who redirects a POST to its own URL may answer the GET."""

    def carry(self, grant: Grant) -> None:
        """Take credentials."""
        self.grant = grant
        self.untold.append(grant.untold)

    def hidden(self, text: str) -> str:
        """Return text without them."""
        for untold in self.untold:
            text = untold.hidden(text)
        return text


class Exchange:
    """Sends the requests of a job."""

    def __init__(
        self,
        http: Http,
        plain_headers: CIMultiDict[str],
        untold: Untold,
        credentials: Credentials | None,
        permission: Permission,
        gate: Gate,
        addresses: Addresses,
    ) -> None:
        """``plain_headers`` are sent where the job's own may not go, which ``untold`` hides."""
        self.origins = Origins(http.allowed_origins)
        self._plain = plain_headers
        self._untold = untold
        self._credentials = credentials
        self._permission = permission
        self._gate = gate
        self._addresses = addresses
        self._records = Records(http)
        self._responses = Responses(http.responses, authenticated=http.auth is not None)
        self._timeout = http.timeout.seconds
        self._bounds = Bounds(http.max_response_bytes, http.min_bytes_per_second)
        self._most_redirects = http.max_redirects

    async def ask(
        self, request: Request, home: str, route: Route, share: Share
    ) -> Answer | Failure:
        """Send a request that is permitted; what it leads to besides waits for permission.

        Each takes the timeout at the most. ``home`` is the URL of the item's first request,
        ``share`` holds what is read until its owner keeps something else. Raises
        ``OriginPausedError`` when it is led to an origin that counts as down.
        """
        sending = _Sending(request, home, route, share, untold=[self._untold])
        try:
            outcome = await self._ask(sending)
            if isinstance(outcome, Answer):
                self._gate.answered(origin_of(sending.request.url))
                return outcome
            found = outcome
        except TimeoutError:
            found = Failure(FailureReason.TIMEOUT, f"no answer within {self._timeout:g} s")
        except ERRORS as error:
            found = connection_failure(error)
        except (ValueError, AuthenticationError) as error:
            found = failure(error, sending.hidden)
        asked = found.reason is not FailureReason.INVALID_ITEM
        origin = origin_of(sending.request.url) if asked else None
        return replace(found, message=sending.hidden(found.message), origin=origin)

    async def permitted(self, url: str) -> None:
        """Wait until another request may start. Raises ``OriginPausedError``."""
        await self._permission()
        origin = origin_of(url)
        if not self._gate.admits(origin):
            raise OriginPausedError(origin)

    async def _ask(self, sending: _Sending) -> Answer | Failure:
        while True:
            if self._credentials is not None and sending.grant is None:
                await self._get_grant(self._credentials, sending)
            if sending.route.tally is None:
                outcome = await self._send(sending)
            else:
                outcome = await sending.route.tally.patiently(lambda: self._send(sending))
            if outcome is not None:
                return outcome
            await self.permitted(sending.request.url)

    async def _get_grant(self, credentials: Credentials, sending: _Sending) -> None:
        ready = credentials.ready
        sending.carry(await credentials.current(sending.route))
        if not ready:
            # All that waited for it would start at once, by permissions of long ago.
            await self._permission()

    async def _send(self, sending: _Sending) -> Answer | Failure | None:
        """Send once; None when what ``sending`` has become must be sent too."""
        request = sending.request
        url, headers = self._dressed(sending)
        async with (
            asyncio.timeout(self._timeout) as limit,
            sending.route.session.request(
                request.method,
                url,
                headers=headers,
                data=request.content.data if request.content is not None else None,
                allow_redirects=False,
                auto_decompress=False,
            ) as response,
        ):
            status, reader = response.status, None
            metrics.counted(metrics.RESPONSES, status).inc()
            if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and sending.route.proxy:
                return Failure(FailureReason.PROXY, "the proxy wants other credentials")
            meaning = self._responses.by_status(status)
            if meaning is None or meaning.action is Action.SUCCESS:
                success = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
                reader = self._records.reader() if success else Whole(self._records)
                await self._bounds.read(response, reader, sending.share, limit)
        if meaning is None:
            meaning = self._responses.meaning(status, reader.document if reader else None)
        if meaning.action is Action.SUCCESS or meaning.action is Action.IGNORE:
            return _answer(sending, response, reader, meaning)
        if meaning.action is None and status in REDIRECTS and self._most_redirects:
            self._gate.answered(origin_of(request.url))
            self._redirect(sending, response)
            return None
        if meaning.action is Action.REFRESH_TOKEN and await self._refresh(sending):
            self._gate.answered(origin_of(request.url))
            return None
        return _refusal(response, meaning, sending.hidden, redirects=self._most_redirects)

    def _dressed(self, sending: _Sending) -> tuple[URL, CIMultiDict[str]]:
        """Return the URL and the headers that are sent."""
        request, grant, route = sending.request, sending.grant, sending.route
        url, headers = request.url, request.headers if request.trusted else self._plain
        if grant is not None and request.trusted:
            url, headers = grant.url(url), headers.copy()
            headers.update(grant.headers)
        if route.headers is not None:
            headers = headers.copy()
            headers.update(route.headers)
        found = URL(url, encoded=True)
        if route.proxy is not None or not request.trusted:
            self._addresses.check(found.host)
        return found, headers

    def _redirect(self, sending: _Sending, response: Response) -> None:
        target = response.headers.get("location", "")
        sending.visited.add(sending.request.mark)
        told = f"{response.status} from {without_query(sending.request.url)}"
        try:
            found = self.origins.redirected(sending.request, response.status, target, sending.home)
        except ForeignOriginError as error:
            raise RedirectError(f"the redirect {told} {error}") from error
        if found.mark in sending.visited:
            raise RedirectError(f"the redirect {told} leads into a loop")
        if len(sending.visited) > self._most_redirects:
            raise RedirectError(
                f"the redirect {told} is one too many: maxRedirects is {self._most_redirects}"
            )
        sending.request = found

    async def _refresh(self, sending: _Sending) -> bool:
        """Get other credentials, once."""
        if self._credentials is None or sending.grant is None or sending.refreshed:
            return False
        if not sending.request.trusted:
            return False
        sending.refreshed = True
        found = await self._credentials.refreshed(sending.grant, sending.route)
        if found is not None:
            sending.carry(found)
        return found is not None


def failure(error: Exception, hidden: Callable[[str], str] = str) -> Failure:
    """Tell what an error means for the item; ``hidden`` takes out what its message may not tell."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return Failure(reason, hidden(str(error)))
    return Failure(FailureReason.INVALID_ITEM, hidden(f"no request can be made: {error}"))


def _answer(
    sending: _Sending, response: Response, reader: Reader | None, meaning: Meaning
) -> Answer:
    ignored = meaning.action is Action.IGNORE
    try:
        records = reader.records() if reader is not None and not ignored else ()
    except MalformedAnswerError as error:
        kind = response.headers.get("content-type", "none")[:80]
        raise MalformedAnswerError(f"{error} (content-type: {kind})") from error
    return Answer(
        document=reader.document if reader is not None else None,
        records=records,
        headers=response.headers,
        url=sending.request.url,
        rest=exhausted_for(response.headers, time.time()),
        ignored=ignored,
        hidden=sending.hidden,
    )


def _refusal(
    response: Response, meaning: Meaning, hidden: Callable[[str], str], *, redirects: int
) -> Failure:
    now = datetime.now(UTC)
    message = f"the API answered {response.status} {response.reason or ''}".strip()
    if response.status in REDIRECTS and not redirects:
        message += ", and maxRedirects is 0"
    if meaning.action is Action.REFRESH_TOKEN:
        message += ": it refuses the credentials"
    by_status = FailureReason.HTTP_STATUS
    reason = _MEANT.get(meaning.action, by_status) if meaning.action else by_status
    headers = {name: hidden(value) for name, value in response.headers.items()}
    return Failure(
        reason,
        f"{message}, {legible(hidden(meaning.why), MAX_WHY)}" if meaning.why else message,
        response.status,
        parse_retry_after(response.headers.get("retry-after"), now),
        exhausted_for(response.headers, now.timestamp()),
        kept_headers(headers),
    )
