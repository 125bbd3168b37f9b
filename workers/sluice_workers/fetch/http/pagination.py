"""From one page of an item to the next; pure.

(request, page, walk) ──follow──▶ (next request, walk), or None after the last page
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import orjson

from sluice_api import pagination
from sluice_api.errors import ConfigurationError
from sluice_api.pagination import Place
from sluice_workers.fetch.http.jsonpath import Path, kind
from sluice_workers.fetch.http.origins import ForeignOriginError, Origins
from sluice_workers.fetch.http.request import Request

_FIELD: Final = "source.http.pagination"
_LINK: Final = re.compile(
    r'<([^<>]*)>((?:\s*;\s*[^\s;,="<>]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"<>]*))?)*)'
)
_REL: Final = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


class PaginationError(ValueError):
    """An answer from which the next page cannot be found; the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an answer says of the next one."""

    document: object
    """The answer, where it is JSON."""
    records: tuple[bytes, ...]
    url: str
    """Where it came from; after redirects another than what was asked for."""
    links: Sequence[str] = ()
    """The values of its Link headers."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How far an item's pages were read."""

    home: str
    """The URL of the first."""
    pages: int = 0
    records: int = 0
    asked: frozenset[int] = frozenset()
    """The marks of the requests for them."""


class Way(Protocol):
    """One way to ask for the next page."""

    def first(self, request: Request) -> Request:
        """Return the request for the first page."""

    def next(self, request: Request, page: Page, walk: Walk, *, more: bool) -> Request | None:
        """Return what asks for the next page; None after the last.

        ``walk`` counts this page already; ``more`` is whether the answer says that one follows.
        """


class Pages:
    """Asks for an item's pages, within bounds."""

    def __init__(self, settings: pagination.Pagination, origins: Origins) -> None:
        """Compile the paths. Raises ``ConfigurationError``."""
        self._most = settings.max_pages
        self._more = Path(settings.more, f"{_FIELD}.more") if settings.more else None
        self._way = _way(settings, origins)

    def first(self, request: Request) -> tuple[Request, Walk]:
        """Return the request for the first page."""
        first = self._way.first(request)
        return first, Walk(first.url, asked=frozenset({first.mark}))

    def follow(self, request: Request, page: Page, walk: Walk) -> tuple[Request, Walk] | None:
        """Return the request for the next page; None when there is none.

        Raises ``PaginationError``, and ``MalformedAnswerError`` where a path cannot be applied.
        """
        walk = replace(walk, pages=walk.pages + 1, records=walk.records + len(page.records))
        more = bool(self._more.first(page.document)) if self._more else None
        if more is False:
            return None
        try:
            found = self._way.next(request, page, walk, more=bool(more))
        except ForeignOriginError as error:
            raise PaginationError(f"the next page {error}") from error
        if found is None:
            if more:
                raise PaginationError("the answer says that a page follows, but not which")
            return None
        if found.mark in walk.asked:
            raise PaginationError(f"the pages go in a loop after page {walk.pages}")
        if walk.pages >= self._most:
            raise PaginationError(f"the item has more than maxPages ({self._most}) pages")
        return found, replace(walk, asked=walk.asked | {found.mark})


class _Linked:
    """The answer holds the next page's URL, in a header or in its body."""

    def __init__(self, origins: Origins, rel: str | None, path: Path | None) -> None:
        self._origins = origins
        self._rel = rel
        self._path = path

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: Page, walk: Walk, *, more: bool) -> Request | None:  # noqa: ARG002  the URL says it
        target = self._path.first(page.document) if self._path else linked(page.links, self._rel)
        if not target:
            return None
        if not isinstance(target, str):
            raise PaginationError(f"the URL of the next page must be text, found {target!r:.80}")
        return self._origins.led(replace(request, url=page.url), target, walk.home)


class _Cursor:
    """The answer's body holds what the next request says."""

    def __init__(self, settings: pagination.Cursor) -> None:
        self._settings = settings
        self._path = Path(settings.path, f"{_FIELD}.cursor.path")

    def first(self, request: Request) -> Request:
        return request

    def next(self, request: Request, page: Page, walk: Walk, *, more: bool) -> Request | None:  # noqa: ARG002  the cursor says it
        cursor = self._path.first(page.document)
        if not cursor:
            return None
        if self._settings.place is Place.QUERY and isinstance(cursor, dict | list):
            raise PaginationError(
                f"the cursor must be text or a number to stand in the query, found {kind(cursor)}"
            )
        try:
            orjson.dumps(cursor)
        except TypeError as error:
            raise PaginationError(f"the cursor cannot be written as JSON: {error}") from error
        return request.saying(self._settings.parameter, self._settings.place, cursor)


class _Counting:
    """Requests count the pages, or the records they have.

    An API that does not heed the parameter is stopped by the bounds of pages and of bytes.
    """

    def __init__(self, parameter: str, place: Place, first: int, total: Path | None) -> None:
        self._parameter = parameter
        self._place = place
        self._first = first
        self._total = total

    def first(self, request: Request) -> Request:
        return request.saying(self._parameter, self._place, self._first)

    def next(self, request: Request, page: Page, walk: Walk, *, more: bool) -> Request | None:
        read = self._read(walk)
        if not more and (not page.records or self._is_total(page, read)):
            return None
        return request.saying(self._parameter, self._place, self._first + read)

    def _read(self, walk: Walk) -> int:
        raise NotImplementedError

    def _is_total(self, page: Page, read: int) -> bool:
        total = self._total.first(page.document) if self._total else None
        if isinstance(total, str) and total.isascii() and total.isdigit():
            total = float(total)
        return isinstance(total, int | float) and read >= total


class _PageNumber(_Counting):
    def _read(self, walk: Walk) -> int:
        return walk.pages


class _Offset(_Counting):
    def _read(self, walk: Walk) -> int:
        return walk.records


def _way(settings: pagination.Pagination, origins: Origins) -> Way:
    if (header := settings.link_header) is not None:
        return _Linked(origins, header.rel, None)
    if (url := settings.next_url) is not None:
        return _Linked(origins, None, Path(url.path, f"{_FIELD}.nextUrl.path"))
    if (cursor := settings.cursor) is not None:
        return _Cursor(cursor)
    if (page := settings.page_number) is not None:
        total = page.total_pages and Path(page.total_pages, f"{_FIELD}.pageNumber.totalPages")
        return _PageNumber(page.parameter, page.place, page.first, total or None)
    if (offset := settings.offset) is not None:
        total = offset.total_records and Path(offset.total_records, f"{_FIELD}.offset.totalRecords")
        return _Offset(offset.parameter, offset.place, 0, total or None)
    raise ConfigurationError(f"{_FIELD}: exactly one way must be given, found none")


def linked(values: Iterable[str], rel: str | None) -> str | None:
    """Return the target of the first link of a relation in Link headers (RFC 8288)."""
    for value in values:
        for target, parameters in _LINK.findall(value):
            relation = _REL.search(parameters)
            names = (relation[1] or relation[2] or "") if relation else ""
            if rel is not None and rel.lower() in names.lower().split():
                return str(target)
    return None
