"""The requests that an item becomes; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import quote, unquote_plus, urlencode

import orjson
from multidict import CIMultiDict
from yarl import URL

from sluice_api.errors import ConfigurationError
from sluice_api.http import Body, Format, Http
from sluice_api.pagination import Place
from sluice_workers.fetch.breakers import base_of, origin_of
from sluice_workers.fetch.http.body import CODINGS
from sluice_workers.fetch.http.template import (
    InvalidItemError,
    JsonTemplate,
    TextTemplate,
    Values,
    values_of,
)
from sluice_workers.fetch.item import Item

_ACCEPT: Final = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson, application/json;q=0.9",
}
_BREAKS: Final = frozenset("\r\n\0")
_IN_URLS: Final = ":/?#[]@!$&'()*+,;=%-._~\0"
"""What stays as it is in a URL's path and query, besides letters and digits (RFC 3986)."""
_AUTHORITY_ENDS: Final = re.compile(r"[^/]*//[^/?#]*[/?#]")
_NAME: Final = "\0"
"""What stands for a name in braces while a URL is looked at as a whole."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a request carries; one of the three."""

    document: dict[str, object] | None = None
    form: Mapping[str, str] | None = None
    text: str | None = None

    @property
    def data(self) -> bytes:
        """Its bytes. Raises ``InvalidItemError``."""
        if self.document is not None:
            try:
                return orjson.dumps(self.document)
            except TypeError as error:
                raise InvalidItemError(f"the body cannot be written as JSON: {error}") from error
        return (urlencode(self.form) if self.form is not None else self.text or "").encode()

    @property
    def media_type(self) -> str:
        """What it is, unless the job says so itself."""
        if self.document is not None:
            return "application/json"
        return "application/x-www-form-urlencoded" if self.form is not None else "text/plain"

    def having(self, path: str, value: object) -> Self:
        """Return it with a member set; dots lead into nested objects, which are made if need be."""
        if self.form is not None:
            return replace(self, form={**self.form, path: _plain(value)})
        return replace(self, document=_set(self.document or {}, path.split("."), value))


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without credentials."""

    method: str
    url: str
    """Percent-encoded."""
    headers: CIMultiDict[str]
    content: Content | None = None
    trusted: bool = True
    """Whether it goes where the job's headers and credentials may go."""

    @property
    def mark(self) -> int:
        """A hash of where it goes and what it carries, which tells an item's requests apart.

        Raises ``InvalidItemError``.
        """
        return hash((self.method, self.url, self.content.data if self.content else None))

    def saying(self, parameter: str, place: Place, value: object) -> Self:
        """Return it with the wanted page."""
        if place is Place.BODY:
            return replace(self, content=(self.content or Content()).having(parameter, value))
        return replace(self, url=with_parameter(self.url, parameter, _plain(value)))


class Requests:
    """Makes an item's first request."""

    def __init__(self, http: Http, secret_headers: Mapping[str, str]) -> None:
        """Compile the templates.

        Raises ``ConfigurationError`` for stray braces and for a host that cannot be written.
        """
        self._method = http.method.value
        self._url = _for_the_wire(TextTemplate.parse(http.url, "source.http.url"))
        whole = not self._url.names or _AUTHORITY_ENDS.match(self._url.literals[0])
        self.origin = origin_of(self._url.literals[0]) if whole else None
        """Whom every item asks first; None where that is the item's affair."""
        self._query = _compiled(http.query, "source.http.query")
        self._body = _Content(http.body) if http.body is not None else None
        self.plain = CIMultiDict(
            {"accept": _ACCEPT[http.format], "accept-encoding": ", ".join(CODINGS)}
        )
        """What every request says, wherever it goes."""
        headers = _compiled(http.headers, "source.http.headers")
        self._headers = self.plain.copy()
        self._headers.update({k: t.literals[0] for k, t in headers.items() if not t.names})
        self._filled_headers = {name: each for name, each in headers.items() if each.names}
        self._secret_headers = dict(secret_headers)
        self._headers.update(self._secret_headers)
        templates = [self._url, *self._query.values(), *self._filled_headers.values()]
        self._names = {name for each in templates for name in each.names}
        self._names |= self._body.names if self._body else set()

    def first(self, item: Item) -> Request:
        """Return the first request of an item. Raises ``InvalidItemError``."""
        values = values_of(item, self._names)
        url = self._url.fill(values, _encoded)
        if self._query:
            pairs = [(name, each.fill(values)) for name, each in self._query.items()]
            url = _extended(url, pairs)
        content = self._body.fill(values) if self._body else None
        return Request(self._method, url, self._headers_of(values, content), content)

    def _headers_of(self, values: Values, content: Content | None) -> CIMultiDict[str]:
        if not self._filled_headers and content is None:
            return self._headers
        headers = self._headers.copy()
        for name, template in self._filled_headers.items():
            value = template.fill(values)
            if not _BREAKS.isdisjoint(value):
                raise InvalidItemError(f"the header {name} must be one line, found {value[:80]!r}")
            headers[name] = value
        headers.update(self._secret_headers)
        if content is not None:
            headers.setdefault("content-type", content.media_type)
        return headers


class _Content:
    """The templates of a body."""

    def __init__(self, body: Body) -> None:
        where = "source.http.body"
        self._document = JsonTemplate(body.document, f"{where}.json") if body.document else None
        self._form = _compiled(body.form, f"{where}.form") if body.form is not None else None
        self._text = TextTemplate.parse(body.text or "", f"{where}.text")
        self._is_document = body.document is not None
        self.names = {name for each in (self._form or {}).values() for name in each.names}
        self.names |= set(self._text.names)
        self.names |= self._document.names if self._document else set()

    def fill(self, values: Values) -> Content:
        if self._is_document:
            filled = self._document.fill(values) if self._document else {}
            assert isinstance(filled, dict)  # noqa: S101  the template is an object
            return Content(document=filled)
        if self._form is not None:
            return Content(form={name: each.fill(values) for name, each in self._form.items()})
        return Content(text=self._text.fill(values))


def with_parameter(url: str, name: str, value: str) -> str:
    """Return a URL whose query says ``value`` for ``name``, and nothing else for it."""
    base, _, query = url.partition("#")[0].partition("?")
    kept = [part for part in query.split("&") if part and unquote_plus(part.split("=")[0]) != name]
    return f"{base}?{'&'.join([*kept, _pair(name, value)])}"


def _compiled(templates: Mapping[str, str], field: str) -> dict[str, TextTemplate]:
    return {name: TextTemplate.parse(text, f"{field}.{name}") for name, text in templates.items()}


def _extended(url: str, pairs: list[tuple[str, str]]) -> str:
    base = url.partition("#")[0]
    joint = "&" if "?" in base else "?"
    return base + joint + "&".join(_pair(name, value) for name, value in pairs)


def _pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def _for_the_wire(url: TextTemplate) -> TextTemplate:
    """Return a URL with its host by IDNA and all else percent-encoded.

    Raises ``ConfigurationError`` for a host that cannot be written so.
    """
    text = _NAME.join(each.replace(_NAME, "%00") for each in url.literals)
    base = base_of(text)
    rest = quote(text[len(base) :], safe=_IN_URLS)
    encoded = (base if base.isascii() else _by_idna(base)) + rest
    return replace(url, literals=tuple(encoded.split(_NAME)))


def _by_idna(base: str) -> str:
    scheme, slashes, authority = base.partition("//")
    shown = repr(authority.replace(_NAME, "{…}"))
    if _NAME in authority:
        raise ConfigurationError(
            "source.http.url: a host that holds a name in braces must be ASCII besides, such as"
            f" xn--bcher-kva.example for bücher.example, found {shown}"
        )
    try:
        return scheme + slashes + URL(f"http://{authority}").raw_authority
    except ValueError as error:
        raise ConfigurationError(
            f"source.http.url: must hold a host by the rules of IDNA, found {shown}: {error}"
        ) from error


def _encoded(name: str, value: str) -> str:
    # Clients resolve dot segments, encoded or not: they would ask for another resource.
    if value in {"", ".", ".."}:
        raise InvalidItemError(f"{{{name}}} must not be empty, . or .., found {value!r}")
    return quote(value, safe="")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _set(document: Mapping[str, object], path: list[str], value: object) -> dict[str, object]:
    name, *rest = path
    if not rest:
        return {**document, name: value}
    inner = document.get(name)
    return {**document, name: _set(inner if isinstance(inner, dict) else {}, rest, value)}
