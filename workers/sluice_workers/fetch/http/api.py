"""One attempt at an item: its pages one after the other, then its records."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sluice_api.http import Http
from sluice_workers.fetch import metrics
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Gate, Origin, OriginPausedError, origin_of
from sluice_workers.fetch.http.arriving import Arriving, Share
from sluice_workers.fetch.http.body import MalformedAnswerError, TooLargeError
from sluice_workers.fetch.http.credentials import Credentials
from sluice_workers.fetch.http.exchange import Answer, Exchange, Permission, failure
from sluice_workers.fetch.http.pagination import Page, Pages, PaginationError
from sluice_workers.fetch.http.progress import Parked, Progress
from sluice_workers.fetch.http.request import Request, Requests
from sluice_workers.fetch.http.template import InvalidItemError
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched, size_of
from sluice_workers.fetch.retry import PASSING
from sluice_workers.fetch.routes import Route
from sluice_workers.fetch.untold import of_values
from sluice_workers.wire import FailureReason

_RESUMABLE: Final = PASSING | {FailureReason.PROXY, FailureReason.NO_PERMIT}
PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing of the page that was asked for."""


class Api:
    """The HTTP API of a job, asked for one item per call."""

    def __init__(
        self,
        http: Http,
        secret_headers: Mapping[str, str],
        credentials: Credentials | None,
        permission: Permission,
        gate: Gate,
        addresses: Addresses,
    ) -> None:
        """Raise ``ConfigurationError`` for a template or a path that cannot be used."""
        self._requests = Requests(http, secret_headers)
        self._exchange = Exchange(
            http,
            self._requests.plain,
            of_values(secret_headers.values()),
            credentials,
            permission,
            gate,
            addresses,
        )
        origins = self._exchange.origins
        self._pages = Pages(http.pagination, origins) if http.pagination else None
        self._most_bytes = http.max_item_bytes
        self._parked = Parked()
        self._arriving = Arriving()

    def origin(self, item: Item) -> Origin:
        """Return whom an item's next request asks; empty where none can be made."""
        if (request := self._parked.next_request((item.partition, item.offset))) is not None:
            return origin_of(request.url)
        if self._requests.origin is not None:
            return self._requests.origin
        try:
            return origin_of(self._requests.first(item).url)
        except ValueError:
            return ""

    async def ask(self, item: Item, route: Route) -> Fetched | Failure:
        """Ask for one item, all its pages; the first request is permitted already.

        Raises ``OriginPausedError`` when it is led to an origin that counts as down.
        """
        with self._arriving.share() as share:
            try:
                if self._pages is None:
                    return await self._ask_once(self._requests.first(item), route, share)
                return await self._ask_pages(item, self._pages, route, share)
            except (InvalidItemError, TooLargeError) as error:
                return failure(error)

    async def _ask_pages(
        self, item: Item, pages: Pages, route: Route, share: Share
    ) -> Fetched | Failure:
        """Ask for the pages of an item that are not there yet. Raises ``InvalidItemError``."""
        key = (item.partition, item.offset)
        await share.keep(self._parked.size(key))
        progress = self._parked.take(key)
        if progress is None:
            progress = Progress(*pages.first(self._requests.first(item)))
        try:
            while (outcome := await self._ask_page(item, progress, pages, route, share)) is None:
                metrics.PAGES.inc()
                await share.keep(progress.size)
                await self._exchange.permitted(progress.request.url)
        except OriginPausedError:
            if progress.walk.pages:
                self._parked.put(key, progress)
            raise
        return outcome

    async def _ask_once(self, request: Request, route: Route, share: Share) -> Fetched | Failure:
        """Ask for an item that is one request. Raises ``TooLargeError``."""
        answer = await self._exchange.ask(request, request.url, route, share)
        if isinstance(answer, Failure):
            return answer
        self._check(size_of(answer.records))
        return Fetched(answer.records, datetime.now(UTC), answer.rest)

    async def _ask_page(
        self, item: Item, progress: Progress, pages: Pages, route: Route, share: Share
    ) -> Fetched | Failure | None:
        """Ask for one page; None when another follows, and only records are left of it."""
        outcome = await self._exchange.ask(progress.request, progress.walk.home, route, share)
        if isinstance(outcome, Failure):
            return self._stopped(item, progress, outcome)
        try:
            if self._follow(progress, outcome, pages):
                return None
        except (TooLargeError, PaginationError, MalformedAnswerError) as error:
            return failure(error, outcome.hidden)
        return Fetched(tuple(progress.records), datetime.now(UTC), outcome.rest)

    def _follow(self, progress: Progress, answer: Answer, pages: Pages) -> bool:
        """Take a page's records; return whether another page is to be asked for."""
        progress.records += answer.records
        progress.size += size_of(answer.records)
        progress.resumed = False
        self._check(progress.size)
        if answer.ignored:
            return False
        links = answer.headers.getall("link", ())
        page = Page(answer.document, answer.records, answer.url, links)
        found = pages.follow(progress.request, page, progress.walk)
        if found is None:
            return False
        progress.request, progress.walk = found
        return True

    def _check(self, size: int) -> None:
        if size > self._most_bytes:
            raise TooLargeError(
                f"the item's records are longer than maxItemBytes ({self._most_bytes})"
            )

    def _stopped(self, item: Item, progress: Progress, why: Failure) -> Failure:
        """Keep what earlier pages brought for the item's next attempt, if that may succeed."""
        if not progress.walk.pages:
            return why
        message = f"page {progress.walk.pages + 1}: {why.message}"
        if why.reason in _RESUMABLE or why.status in PASSING_STATUSES:
            self._parked.put((item.partition, item.offset), progress)
        elif progress.resumed:
            # What the API told before the wait, such as a cursor, may not be good any more.
            why = replace(why, reason=FailureReason.RETRIED)
            message += "; the item begins with its first page"
        return replace(why, message=message)
