"""How an answer goes on: exactly one way, with bounds."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from sluice_api.expressions import JsonPath
from sluice_api.model import Model, exactly_one, rules


class Place(StrEnum):
    """Where a request says which page it wants."""

    QUERY = "Query"
    BODY = "Body"


class LinkHeader(Model):
    """The header Link (RFC 8288) names the next page."""

    rel: str = Field(default="next", min_length=1, max_length=64)
    """The relation by which it does."""


class NextUrl(Model):
    """The answer's body holds the URL of the next page."""

    path: JsonPath
    """Where: the last page is the one without it."""


class _Parameter(Model):
    parameter: str = Field(min_length=1, max_length=256)
    """The query parameter, or the member of the body; dots lead into nested objects."""
    place: Place = Place.QUERY
    """Whether the query or the body says which page is wanted."""


class Cursor(_Parameter):
    """The answer's body holds what the next request must say."""

    path: JsonPath
    """Where: the last page is the one without it."""


class PageNumber(_Parameter):
    """Requests count the pages."""

    parameter: str = Field(default="page", min_length=1, max_length=256)
    """The query parameter, or the member of the body; dots lead into nested objects."""
    first: int = Field(default=1, ge=0, le=1)
    """The number of the first page."""
    total_pages: JsonPath | None = None
    """Where the answer says how many pages there are. Unless this or more is given, the last page
    is the one without records."""


class Offset(_Parameter):
    """Requests count the records they have."""

    parameter: str = Field(default="offset", min_length=1, max_length=256)
    """The query parameter, or the member of the body; dots lead into nested objects."""
    total_records: JsonPath | None = None
    """Where the answer says how many records there are. Unless this or more is given, the last page
    is the one without records."""


class Pagination(Model):
    """How the next page of an item is asked for: exactly one of the five ways."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            exactly_one("linkHeader", "nextUrl", "cursor", "pageNumber", "offset")
        )
    )

    link_header: LinkHeader | None = None
    next_url: NextUrl | None = None
    cursor: Cursor | None = None
    page_number: PageNumber | None = None
    offset: Offset | None = None
    more: JsonPath | None = None
    """Where the answer says whether another page follows: none does where it holds false, null, 0
    or empty text, or nothing at all."""
    max_pages: int = Field(default=100, ge=1, le=100_000)
    """Pages of one item at the most; items with more are given up."""
