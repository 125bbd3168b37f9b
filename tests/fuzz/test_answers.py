"""No answer does more than fail its own item: nearly good answers, for a bounded time.

`make fuzz` does it for longer. A failure tells its seed; SLUICE_FUZZ_SEED gets the inputs again.
"""

import asyncio
import gzip
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import brotli
import orjson
from backports import zstd
from multidict import CIMultiDict

from fuzz.mutation import Inputs, cut
from sluice_api.http import Http, ResponseRule
from sluice_api.pagination import Pagination
from sluice_api.source import CircuitBreaker, Retry
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.http.answer import Records
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.body import (
    CODINGS,
    MalformedAnswerError,
    TooLargeError,
    decoder,
)
from sluice_workers.fetch.http.credentials import AuthenticationError
from sluice_workers.fetch.http.oauth2 import token_of
from sluice_workers.fetch.http.origins import Origins
from sluice_workers.fetch.http.pagination import Page, Pages, PaginationError
from sluice_workers.fetch.http.request import Request
from sluice_workers.fetch.http.responses import Responses
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched, GivenUp
from sluice_workers.fetch.output import dead_item
from sluice_workers.fetch.quota import LONGEST, exhausted_for
from sluice_workers.fetch.retry import decide
from sluice_workers.fetch.routes import Direct

BOUND = 1 << 16
EXPLAINED = (MalformedAnswerError, TooLargeError, PaginationError)
RECORD = b'{"id": 7, "name": "Z\xc3\xbcrich", "tags": ["a", null], "at": {"lat": 47.37}}'
DOCUMENTS = [
    RECORD,
    b'{"data": [%b, %b], "next": "/items?page=2", "more": true, "total": 40}' % (RECORD, RECORD),
    b'{"meta": {"cursor": "abc"}, "errors": [{"code": 3}], "next": "http://api/2"}',
    b'{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}',
    b"[" + b",".join([RECORD] * 20) + b"]",
    b"\n".join([RECORD] * 5),
    b"[" * 200 + b"]" * 200,
    b"",
]
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
PATHS = ["$", "$[*]", "$.data[*]", "$..at", "$.data[?@.id == 7]", "$.data[-1:]", "$['data'][::2]"]
PATHS += ["$[?length(@.name) > 1]", "$[?match(@.name, 'Z.*')]", "$[?count(@.*) > 0]"]


def test_decoders() -> None:
    corpus = [encode(document * 9) for encode in ENCODE.values() for document in DOCUMENTS]
    inputs = Inputs(corpus)
    for chance, data in inputs:
        found = decoder(chance.choice(CODINGS))
        assert found is not None
        size, begin = 0, time.monotonic()
        with suppress(MalformedAnswerError):
            for chunk in cut(chance, data):
                for piece in found.feed(chunk):
                    size += len(piece)
                    assert len(piece) <= 1 << 18, inputs
                if size > BOUND:
                    break
            found.end()
        assert time.monotonic() - begin < 2, inputs
    assert inputs.count > 100


def test_records() -> None:
    fields = {"id": "$.id", "lat": "$.at.lat", "all": "$..*"}
    settings = [
        {"records": path, "format": form, "fields": chosen}
        for path in PATHS
        for form in ("JSON", "NDJSON")
        for chosen in ({}, fields)
    ]
    every = [Records(Http.model_validate({"url": "http://api/", **each})) for each in settings]
    inputs = Inputs(DOCUMENTS)
    for chance, data in inputs:
        reader = chance.choice(every).reader()
        with suppress(*EXPLAINED):
            for chunk in cut(chance, data):
                reader.feed(chunk)
            reader.end()
            for record in reader.records():
                assert isinstance(orjson.loads(record), dict), inputs
    assert inputs.count > 100


def test_pages_and_meanings() -> None:
    ways = [
        {"nextUrl": {"path": "$.next"}},
        {"linkHeader": {}},
        {"cursor": {"path": "$.meta.cursor", "parameter": "after"}, "more": "$.more"},
        {"cursor": {"path": "$..cursor", "parameter": "a.b", "place": "Body"}},
        {"pageNumber": {"totalPages": "$.total"}},
        {"offset": {"totalRecords": "$..total"}},
    ]
    origins = Origins(("http://other",))
    pages = [Pages(Pagination.model_validate(way), origins) for way in ways]
    rules = [
        {"path": path, "action": "Failure", **value}
        for path in PATHS
        for value in ({}, {"value": "3"})
    ]
    responses = Responses([ResponseRule.model_validate(rule) for rule in rules], authenticated=True)
    inputs = Inputs([*DOCUMENTS, b'<http://api/2>; rel="next", </3>; rel=last; title="x, y"'])
    for chance, data in inputs:
        document = None
        with suppress(orjson.JSONDecodeError):
            document = orjson.loads(data)
        link = data.decode(errors="replace")
        page = Page(document, (RECORD,) * chance.randrange(3), "http://api/items", (link,))
        with suppress(*EXPLAINED):
            way = chance.choice(pages)
            first, walk = way.first(Request("GET", "http://api/items", CIMultiDict()))
            found = way.follow(first, page, walk)
            assert found is None or found[0].url.startswith(("http://", "https://")), inputs
        with suppress(MalformedAnswerError):
            responses.meaning(chance.choice((200, 404)), document)
        with suppress(AuthenticationError):
            token_of(200, data)
        exhausted_for({"ratelimit": link, "x-ratelimit-reset": link[:20]}, 0)
    assert inputs.count > 100


async def test_bytes_on_the_wire() -> None:
    """Whole answers, damaged anywhere, through the client: each is a record or a failure."""
    sent = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(sent)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    addresses, gate = Addresses(("127.0.0.0/8",)), Breakers(CircuitBreaker())
    settings = {
        "url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{{key}}",
        "timeout": "300ms",
        "maxRedirects": 3,
        "records": "$.data[*]",
        "maxResponseBytes": BOUND,
        "pagination": {"nextUrl": {"path": "$.next"}, "maxPages": 3},
        "responses": [{"path": "$.errors", "action": "Retry"}],
    }
    api = Api(Http.model_validate(settings), {}, None, permitted, gate, addresses)
    routes = Direct(10, addresses)
    route = await routes.take(b"k")
    inputs = Inputs(answers())
    try:
        for _, data in inputs:
            sent = data
            found = await api.ask(Item(0, inputs.count, b"k", b"", "r/k", 1), route)
            assert isinstance(found, Fetched | Failure), inputs
            assert isinstance(found, Fetched) or told(found), inputs
    finally:
        await routes.close()
        server.close()
    assert inputs.count > 20


def told(failure: Failure) -> bytes:
    """The dead letter of a failure, and how a retry takes it."""
    decide(Retry(), failure, attempts=1, elapsed=0, chance=0.5)
    assert failure.retry_after is None or failure.retry_after <= LONGEST
    item = Item(0, 0, b"k", b"", "r/k", 1)
    dead = dead_item(item, GivenUp(failure, 1), datetime.now(UTC))
    return dead.model_dump_json().encode()


async def permitted() -> None:
    """Permit everything."""


def answers() -> list[bytes]:
    """Answers of HTTP/1.1 in all codings, by length, in chunks, and redirects."""
    found = [
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Introuvable\r\nX-Cause: none\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nX-RateLimit-Remaining: 0\r\n"
        b"X-RateLimit-Reset: Fri, 31 Dec 2027 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
    ]
    for document in DOCUMENTS[:4]:
        for coding in ("identity", *CODINGS):
            body = ENCODE[coding](document) if coding in ENCODE else document
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}"
            )
            found.append(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
            found.append(f"{head}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk)
    return found
