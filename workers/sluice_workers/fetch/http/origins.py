"""Where redirects and the URLs of next pages may lead; pure."""

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus

from yarl import URL

from sluice_workers.fetch.http.request import Request

_KEEPS_METHOD = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
REDIRECTS = frozenset(
    {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER, *_KEEPS_METHOD}
)
"""The statuses whose Location may be followed."""


class ForeignOriginError(ValueError):
    """A URL that leads where requests may not go; the message says where and what is allowed."""


class Origins:
    """The origins that requests of a job may go to besides an item's own."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(_origin(URL(each)) for each in allowed)

    def led(self, request: Request, target: str, home: str) -> Request:
        """Return a request that was led to another URL, relative ones included.

        ``home`` is the URL of the item's first request: only at its origin, or at the same host
        by https, the job's headers and credentials are sent. Raises ``ForeignOriginError``.
        """
        url = _absolute(request.url, target)
        own = URL(home, encoded=True)
        trusted = _origin(url) == _origin(own) or _is_upgrade(own, url)
        if not trusted and _origin(url) not in self._allowed:
            raise ForeignOriginError(
                f"leads to {url.origin()}, which is neither the item's own origin"
                f" ({own.origin()}) nor one of allowedOrigins"
            )
        return replace(request, url=str(url), trusted=trusted)

    def redirected(self, request: Request, status: int, target: str, home: str) -> Request:
        """Return the request that a redirect asks for. Raises ``ForeignOriginError``."""
        found = self.led(request, target, home)
        if status in _KEEPS_METHOD or request.method == "GET":
            return found
        headers = request.headers.copy()
        headers.popall("content-type", None)
        return replace(found, method="GET", content=None, headers=headers)


def without_query(url: str) -> str:
    """Return a URL for messages: what follows its path may be a credential."""
    return url.partition("#")[0].partition("?")[0][:200]


def _origin(url: URL) -> tuple[str, str, int | None]:
    return url.scheme, (url.host or "").lower(), url.port


def _absolute(base: str, target: str) -> URL:
    try:
        url = URL(base, encoded=True).join(URL(target)).with_user(None).with_fragment(None)
        url.origin()
    except ValueError as error:
        raise ForeignOriginError(f"leads to {target[:80]!r}, which is no URL") from error
    if url.scheme not in {"http", "https"}:
        raise ForeignOriginError(f"leads to a URL of scheme {url.scheme[:20]}")
    return url


def _is_upgrade(own: URL, url: URL) -> bool:
    return (own.scheme, url.scheme) == ("http", "https") and (
        own.host == url.host and own.is_default_port() and url.is_default_port()
    )
