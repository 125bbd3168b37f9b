"""What a job says about an HTTP API: requests, credentials, pages, answers."""

from enum import StrEnum
from typing import Any, Final

from pydantic import ConfigDict, Field

from sluice_api.auth import Auth
from sluice_api.duration import Span
from sluice_api.expressions import JsonPath, Template
from sluice_api.model import Model, exactly_one, rule, rules
from sluice_api.pagination import Pagination
from sluice_api.references import SecretReference


class Method(StrEnum):
    """The methods that requests can have."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"


class Version(StrEnum):
    """The version of HTTP that requests are made by."""

    HTTP_1_1 = "HTTP/1.1"
    HTTP_2 = "HTTP/2"


class Body(Model):
    """What requests carry: exactly one of json, form and text."""

    model_config = ConfigDict(json_schema_extra=rules(exactly_one("json", "form", "text")))

    document: dict[str, Any] | None = Field(
        default=None, alias="json", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}
    )
    """A JSON object whose texts are templates; a text that is one name alone, such as "{id}", is
    replaced by the attribute as it is: a number, a list, null."""
    form: dict[str, Template] | None = Field(default=None, max_length=64)
    """Fields of a form, as application/x-www-form-urlencoded; the values are templates."""
    text: Template | None = None
    """Text with names in braces; set the header Content-Type to what it is."""


class Format(StrEnum):
    """What answers are."""

    JSON = "JSON"
    NDJSON = "NDJSON"


class Missing(StrEnum):
    """What it means that an answer has not what was looked for."""

    FAILURE = "Failure"
    IGNORE = "Ignore"


class Action(StrEnum):
    """What an answer means for the item."""

    SUCCESS = "Success"
    FAILURE = "Failure"
    RETRY = "Retry"
    IGNORE = "Ignore"
    RATE_LIMITED = "RateLimited"
    REFRESH_TOKEN = "RefreshToken"  # noqa: S105  no password


class ResponseRule(Model):
    """What answers of some statuses, or with something in their bodies, mean."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.statuses) && self.statuses.size() > 0) || has(self.path)",
                "'must give statuses, path or both: a rule for every answer would hide the rest'",
            ),
            rule(
                "!has(self.value) || has(self.path)",
                "'needs a path to compare with, found \"' + self.value + '\" alone'",
                field=".value",
            ),
        )
    )

    statuses: tuple[int, ...] = Field(default=(), max_length=64)
    """The HTTP statuses that it is for; all of them unless given."""
    path: JsonPath | None = None
    """What must be in the JSON body."""
    value: str | None = Field(default=None, max_length=256)
    """What must be there, as text or as JSON (true, 3, null); unless given, anything but null,
    false, 0 and what is empty."""
    action: Action
    """Success reads the records, Ignore is a success without any. Failure gives the item up, Retry
    tries it again. RateLimited tries it again, counts no attempt and lowers the rate. RefreshToken
    reads the Secret or asks for a token anew, and sends the request once more."""


_IN_BODY: Final = "has(self.body) && (has(self.body.json) || has(self.body.form))"
_TARGETS: Final = ("cursor", "pageNumber", "offset")


def _place(kind: str) -> dict[str, str]:
    given = f"has(self.pagination) && has(self.pagination.{kind})"
    return rule(
        f"!({given} && self.pagination.{kind}.place == 'Body') || ({_IN_BODY})",
        "'Body needs body.json or body.form, which is not given'",
        field=f".pagination.{kind}.place",
    )


class Http(Model):
    """An HTTP API that is asked for each item."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.url.matches('^https?://.+')",
                "'must be an http:// or https:// URL, found \"' + self.url + '\"'",
                field=".url",
            ),
            rule(
                "!self.url.matches('^https?://.+')"
                r" || !self.url.matches('\\s') && (self.url.matches('[{][^{}\\s]+[}]')"
                " || has(self.query) || has(self.body))",
                "'must hold the item in braces, such as {key}, and no spaces, found \"'"
                " + self.url + '\"'",
                field=".url",
            ),
            rule(
                "self.version != 'HTTP/2' || self.url.startsWith('https://')",
                "'HTTP/2 is agreed upon by TLS and needs an https:// URL, found \"'"
                " + self.url + '\"'",
                field=".version",
            ),
            rule(
                "!has(self.headers) || self.headers.all(name,"
                " name.matches('^[-A-Za-z0-9!#$%&*+.^_`|~]+$')"
                r" && !self.headers[name].matches('[\\r\\n]'))",
                "'names must be words such as X-Api-Key, values a line each'",
                field=".headers",
            ),
            rule(
                "!has(self.responses) || has(self.auth)"
                " || self.responses.all(each, each.action != 'RefreshToken')",
                "'RefreshToken needs auth, which is not given'",
                field=".responses",
            ),
            *map(_place, _TARGETS),
            rule(
                "self.format != 'NDJSON' || !has(self.pagination) || !(has(self.pagination.nextUrl)"
                " || has(self.pagination.cursor) || has(self.pagination.more))",
                "'nextUrl, cursor and more look into a JSON document: with NDJSON use linkHeader,"
                " pageNumber or offset'",
                field=".pagination",
            ),
        )
    )

    url: Template = Field(min_length=1, max_length=2048)
    """The URL of one item: {key} stands for the item key, other names in braces for attributes of
    the item; each is percent-encoded, and so is what else is not ASCII; a host goes by IDNA."""
    method: Method = Method.GET
    """The method of every request."""
    version: Version = Version.HTTP_1_1
    """HTTP/2 puts many requests on few connections; a server that knows no HTTP/2 is asked by
    HTTP/1.1 all the same."""
    query: dict[str, Template] = Field(default_factory=dict, max_length=64)
    """Parameters added to the URL; the values are templates, and percent-encoded."""
    headers: dict[str, Template] = Field(default_factory=dict, max_length=64)
    """Headers of every request; the values are templates."""
    headers_from: SecretReference | None = None
    """A Secret whose keys are header names and whose values are sent with every request."""
    body: Body | None = None
    """What requests carry."""
    auth: Auth | None = None
    """How requests prove who sends them."""
    timeout: Span = Span("10s")
    """How long one request may take, from its start to the last byte of the answer."""
    min_bytes_per_second: int = Field(default=100, ge=0, le=1 << 30)
    """Answers that come slower than this over their first five seconds or longer are given up; 0
    never does."""
    max_redirects: int = Field(default=0, ge=0, le=20)
    """How many redirects in a row are followed; by default none is."""
    allowed_origins: tuple[str, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"itemMaxLength": 256}
        | rules(
            rule(
                "self.all(each, each.matches('^https?://[^/?#]+$'))",
                "'each must be scheme, host and perhaps port, such as https://api.example.com,"
                " found %s'.format([self])",
            )
        ),
    )
    """Where redirects and the URLs of next pages may lead besides the item's own origin. Requests
    there carry neither headers nor credentials of the job."""
    format: Format = Format.JSON
    """What answers are: one JSON document, or a JSON document a line."""
    records: JsonPath = "$"
    """Where the records are in the JSON answer, as a JSONPath (RFC 9535); a match is a record."""
    missing_records: Missing = Missing.FAILURE
    """What a successful answer means that has no place for records: one of the members is not
    there by whose names the path of the records begins, or is neither array nor object. Failure
    tries the item again, then gives it up (MalformedAnswer); Ignore takes the answer for one
    without records. An empty array, null in its place and a filter that fits nothing are none."""
    fields: dict[str, JsonPath] = Field(default_factory=dict, max_length=256)
    """What a record keeps, by its new name, as a JSONPath in the record; all of it unless given."""
    pagination: Pagination | None = None
    """How the next page is asked for; one request tells all of an item unless given."""
    responses: tuple[ResponseRule, ...] = Field(default=(), max_length=32)
    """What answers mean; the first rule that fits decides. Without one, 2xx is Success, 429 is
    RateLimited as is 403 that tells how long to wait, 401 is RefreshToken where there is auth, and
    retry.statuses are Retry."""
    max_response_bytes: int = Field(default=1 << 20, ge=1024, le=64 << 20)
    """Answers longer than this, decoded, are given up."""
    max_item_bytes: int = Field(default=16 << 20, ge=1024, le=256 << 20)
    """Items whose records are longer than this are given up; each counts for 256 bytes more."""
