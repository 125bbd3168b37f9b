"""One attempt at an item, on a real HTTP server of the test."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_api.auth import Auth
from sluice_api.http import Http
from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers, OriginPausedError
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.arriving import Arriving
from sluice_workers.fetch.http.credentials import Credentials, Static
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.routes import Direct
from sluice_workers.wire import FailureReason

ITEM = Item(0, 0, b"k-1", b'{"city": "Kehl"}', "r/k-1", 1)
LOCAL = Addresses(("127.0.0.0/8",))
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked:
    """A job's API: the test's server, and what was asked of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.url = ""
        self.answers: dict[str, Answer | web.Response] = {}
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.permissions = 0
        self.addresses = LOCAL
        self.secret_headers: dict[str, str] = {}
        self.folder = tmp_path
        self._api: Api | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answers[request.path]
        return answer if isinstance(answer, web.Response) else await answer(request)

    def paths(self) -> Counter[str]:
        return Counter(request.path_qs for request in self.requests)

    async def permission(self) -> None:
        self.permissions += 1

    def job(self, path: str = "/{key}", **http: Any) -> None:
        settings = Http.model_validate({"url": self.url + path, **http})
        credentials = self.credentials(settings)
        self.breakers = Breakers(CircuitBreaker(failures=1))
        secrets, gate = self.secret_headers, self.breakers
        self._api = Api(settings, secrets, credentials, self.permission, gate, self.addresses)

    def credentials(self, http: Http) -> Credentials | None:
        return Static(http.auth, self.folder) if http.auth else None

    async def ask(self, item: Item = ITEM) -> Fetched | Failure:
        assert self._api is not None
        routes = Direct(10, self.addresses)
        try:
            return await self._api.ask(item, await routes.take(item.key))
        finally:
            await routes.close()

    def origin(self) -> str:
        assert self._api is not None
        return self._api.origin(ITEM)

    async def records(self) -> list[Any]:
        found = await self.ask()
        assert isinstance(found, Fetched), found
        return [orjson.loads(record) for record in found.records]

    async def failure(self) -> Failure:
        found = await self.ask()
        assert isinstance(found, Failure), found
        return found


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Asked]:
    found = Asked(tmp_path)
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", found.handle)
    async with TestServer(application) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def text(found: object, **more: Any) -> web.Response:
    return web.json_response(found, **more)


def in_turn(*answers: web.Response) -> Answer:
    left = list(answers)

    async def answer(_: web.Request) -> web.StreamResponse:
        return left.pop(0)

    return answer


async def test_a_request_says_what_the_job_says(api: Asked) -> None:
    api.answers["/cities/Kehl"] = text({"id": 1})
    api.job(
        "/cities/{city}",
        method="POST",
        query={"since": "{key}"},
        headers={"X-City": "{city}"},
        body={"json": {"q": "{city}"}},
    )
    assert await api.records() == [{"id": 1}]
    (request,) = api.requests
    assert (request.method, request.query["since"]) == ("POST", "k-1")
    assert request.headers["x-city"] == "Kehl"
    assert request.headers["accept-encoding"] == "gzip, br, zstd"
    assert api.bodies == [b'{"q":"Kehl"}']
    assert api.permissions == 0, "the first request was permitted before"


async def test_the_records_of_all_pages_come_at_once(api: Asked) -> None:
    async def page(request: web.Request) -> web.Response:
        number = int(request.query["page"])
        return text({"data": [{"n": 2 * number}, {"n": 2 * number + 1}] if number < 4 else []})

    api.answers["/k-1"] = page
    api.job(pagination={"pageNumber": {}}, records="$.data[*]")
    assert [record["n"] for record in await api.records()] == [2, 3, 4, 5, 6, 7]
    assert api.permissions == 3, "each further page waits for its own permission"


async def test_an_item_that_failed_goes_on_with_the_page_that_failed(api: Asked) -> None:
    one = text({"data": [{"n": 1}], "next": "a"})
    two = text({"data": [{"n": 2}]})
    down = web.Response(status=503, headers={"X-Request-Id": "r-1"})
    api.answers["/k-1"] = in_turn(one, down, two)
    cursor = {"path": "$.next", "parameter": "after"}
    api.job(pagination={"cursor": cursor}, records="$.data[*]")
    failure = await api.failure()
    assert dict(failure.headers)["x-request-id"] == "r-1"
    assert (failure.status, failure.message) == (
        503,
        "page 2: the API answered 503 Service Unavailable",
    )
    assert await api.records() == [{"n": 1}, {"n": 2}]
    assert api.paths() == {"/k-1": 1, "/k-1?after=a": 2}


async def test_a_cursor_that_went_stale_meanwhile_begins_anew(api: Asked) -> None:
    one = text({"data": [{"n": 1}], "next": "a"})
    gone = web.Response(status=410)
    api.answers["/k-1"] = in_turn(one, web.Response(status=503), gone, text({"data": []}))
    cursor = {"path": "$.next", "parameter": "after"}
    api.job(pagination={"cursor": cursor}, records="$.data[*]")
    await api.failure()
    failure = await api.failure()
    assert failure.reason is FailureReason.RETRIED
    assert "410 Gone; the item begins with its first page" in failure.message
    assert await api.records() == []


async def test_an_item_is_bounded_in_bytes(api: Asked) -> None:
    async def page(request: web.Request) -> web.Response:
        return text([{"n": "x" * 600, "page": request.query["page"]}])

    api.answers["/k-1"] = page
    api.job(pagination={"pageNumber": {}}, records="$[*]", maxItemBytes=3000)
    failure = await api.failure()
    assert failure.reason is FailureReason.TOO_LARGE
    assert "longer than maxItemBytes (3000)" in failure.message
    assert len(api.requests) == 4


async def test_a_record_counts_for_more_than_its_text(api: Asked) -> None:
    api.answers["/k-1"] = web.Response(body=b"{}\n" * 10_000)
    api.job(format="NDJSON", maxItemBytes=1 << 20)
    assert (await api.failure()).reason is FailureReason.TOO_LARGE


async def test_an_ignored_page_ends_the_item_with_what_is_there(api: Asked) -> None:
    api.answers["/k-1"] = in_turn(text([{"n": 1}]), web.Response(status=404))
    rule = {"statuses": [404], "action": "Ignore"}
    api.job(pagination={"pageNumber": {}}, records="$[*]", responses=[rule])
    assert await api.records() == [{"n": 1}]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("Failure", FailureReason.REFUSED),
        ("Retry", FailureReason.RETRIED),
        ("RateLimited", FailureReason.RATE_LIMITED),
    ],
)
async def test_rules_look_into_bodies(api: Asked, action: str, reason: FailureReason) -> None:
    api.answers["/k-1"] = text({"error": "no quota"}, headers={"Retry-After": "3"})
    api.job(responses=[{"path": "$.error", "action": action}])
    failure = await api.failure()
    assert (failure.reason, failure.status, failure.retry_after) == (reason, 200, 3)
    assert failure.message == "the API answered 200 OK, by responses[0]: no quota"
    assert failure.rate_limited == (action == "RateLimited")


async def test_an_error_may_be_a_success(api: Asked) -> None:
    api.answers["/k-1"] = text({"id": 0}, status=404)
    api.job(responses=[{"statuses": [404], "action": "Success"}])
    assert await api.records() == [{"id": 0}]


async def test_redirects_are_followed_only_if_told(api: Asked) -> None:
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": "/elsewhere"})
    api.answers["/elsewhere"] = text({"id": 1})
    api.job()
    failure = await api.failure()
    assert failure.message == "the API answered 302 Found, and maxRedirects is 0"
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": "/elsewhere"})
    api.job(maxRedirects=1)
    assert await api.records() == [{"id": 1}]
    assert api.permissions == 1


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (303, "GET"), (307, "POST")])
async def test_what_a_redirect_keeps(api: Asked, status: int, method: str) -> None:
    api.answers["/k-1"] = web.Response(status=status, headers={"Location": "/elsewhere"})
    api.answers["/elsewhere"] = text({"id": 1})
    api.job(maxRedirects=1, method="POST", body={"text": "x"}, headers={"X-Own": "1"})
    assert await api.records() == [{"id": 1}]
    assert api.requests[1].method == method
    assert api.bodies[1] == (b"x" if method == "POST" else b"")
    assert api.requests[1].headers["x-own"] == "1"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/k-1", "leads into a loop"),
        ("http://other/x?secret=1", "leads to http://other, which is neither the item's own"),
        ("", "leads into a loop"),
        ("gopher://x", "of scheme gopher"),
    ],
)
async def test_redirects_that_lead_astray(api: Asked, location: str, message: str) -> None:
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": location})
    api.job(maxRedirects=5)
    failure = await api.failure()
    assert failure.reason is FailureReason.REDIRECT
    assert message in failure.message


async def test_redirects_are_bounded(api: Asked) -> None:
    async def further(request: web.Request) -> web.Response:
        number = int(request.query.get("n", "0")) + 1
        return web.Response(status=302, headers={"Location": f"/k-1?n={number}"})

    api.answers["/k-1"] = further
    api.job(maxRedirects=3)
    failure = await api.failure()
    assert "is one too many: maxRedirects is 3" in failure.message
    assert len(api.requests) == 4


@pytest.mark.parametrize("ends", [True, False])
async def test_a_redirect_of_a_post_to_its_own_url_is_no_loop(api: Asked, *, ends: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST" or not ends:
            return web.Response(status=303, headers={"Location": "/k-1"})
        return text({"id": 1})

    api.answers["/k-1"] = answer
    api.job(maxRedirects=5, method="POST", body={"text": "x"})
    outcome = await api.ask()
    assert isinstance(outcome, Fetched) if ends else "leads into a loop" in str(outcome)
    assert [request.method for request in api.requests] == ["POST", "GET"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_is_not_allowed_is_not_connected_to(api: Asked, host: str) -> None:
    """By address, and by a name that resolves to one: the server listens, and hears nothing."""
    api.addresses = Addresses()
    api.url = api.url.replace("127.0.0.1", host)
    api.job()
    failure = await api.failure()
    assert failure.reason is FailureReason.FORBIDDEN_ADDRESS
    assert "SLUICE_ALLOWED_ADDRESSES" in failure.message
    assert api.requests == []


async def test_nor_after_a_redirect(api: Asked) -> None:
    inside = "http://169.254.169.254/latest/meta-data"
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": inside})
    api.job(maxRedirects=1, allowedOrigins=["http://169.254.169.254"])
    assert (await api.failure()).reason is FailureReason.FORBIDDEN_ADDRESS


async def test_another_origin_gets_nothing_of_the_jobs(api: Asked) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    api.addresses = Addresses(("127.0.0.0/8", "::1/128"))
    (api.folder / "token").write_text("t-1")
    api.answers["/k-1"] = text({"id": 1}, headers={"Link": f'<{other}/two>; rel="next"'})
    api.answers["/two"] = text({"id": 2}, headers={"Link": f'<{api.url}/three>; rel="next"'})
    api.answers["/three"] = text({"id": 3})
    auth = {"bearer": {"secretRef": {"name": "s"}}}
    headers, pages = {"X-Own": "1"}, {"linkHeader": {}}
    api.job(pagination=pages, auth=auth, headers=headers, allowedOrigins=[other])
    assert await api.records() == [{"id": 1}, {"id": 2}, {"id": 3}]
    sent = [(r.headers.get("x-own"), r.headers.get("authorization")) for r in api.requests]
    assert sent == [("1", "Bearer t-1"), (None, None), ("1", "Bearer t-1")]


PAIR = base64.b64encode(b"ada:pw").decode()


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"bearer": {"secretRef": {"name": "s"}}}, "authorization", "Bearer t-1"),
        ({"basic": {"secretRef": {"name": "s"}}}, "authorization", f"Basic {PAIR}"),
        ({"header": {"name": "X-Key", "secretRef": {"name": "s"}}}, "x-key", "k&1"),
    ],
)
async def test_credentials(api: Asked, auth: dict[str, Any], name: str, value: str) -> None:
    secret = {"token": "t-1", "username": "ada", "password": "pw", "key": "k&1"}
    for key, content in secret.items():
        (api.folder / key).write_text(content)
    api.answers["/k-1"] = text({"id": 1})
    api.job(auth=auth)
    assert await api.records() == [{"id": 1}]
    assert api.requests[0].headers[name] == value


async def test_a_key_in_the_query_is_told_nobody(api: Asked) -> None:
    (api.folder / "key").write_text("k&1")
    api.answers["/k-1"] = text({"error": "k&1 is no key: ?key=k%261"})
    rule = {"path": "$.error", "action": "Failure"}
    api.job(auth={"query": {"name": "key", "secretRef": {"name": "s"}}}, responses=[rule])
    failure = await api.failure()
    assert api.requests[0].query["key"] == "k&1"
    assert failure.message.endswith("by responses[0]: *** is no key: ?key=***")


@pytest.mark.parametrize("auth", [None, {"bearer": {"secretRef": {"name": "s"}}}])
async def test_secret_headers_that_an_answer_repeats_are_told_nobody(
    api: Asked, auth: dict[str, Any] | None
) -> None:
    (api.folder / "token").write_text("t-1")
    api.secret_headers = {"x-key": "k&12", "x-auth": "Bearer abc-9", "x-version": "2"}
    echo = "key k&12, also k%2612; Bearer abc-9, also abc-9; version 2"
    api.answers["/k-1"] = text({"error": echo}, headers={"X-Asked-By": "k&12 abc-9"})
    rule = {"path": "$.error", "action": "Failure"}
    api.job(responses=[rule], auth=auth)
    failure = await api.failure()
    assert failure.message.endswith("key ***, also ***; ***, also ***; version 2")
    assert dict(failure.headers)["x-asked-by"] == "*** ***"
    assert api.requests[0].headers["x-key"] == "k&12"


async def test_nor_where_the_next_page_repeats_them(api: Asked) -> None:
    api.secret_headers = {"x-key": "k-12"}
    api.answers["/k-1"] = text({"next": {"key": "k-12"}})
    api.job(pagination={"nextUrl": {"path": "$.next"}})
    assert (await api.failure()).message.endswith("must be text, found {'key': '***'}")


async def test_a_key_that_the_answer_repeats_in_its_headers_is_told_nobody(api: Asked) -> None:
    secret = "k&1" * 100
    (api.folder / "key").write_text(secret)
    link = "</k-1?key=k%261" + "k%261" * 99 + '&page=2>; rel="next"'
    told = {"Link": link, "X-Asked-By": "x" * 200 + secret}
    api.answers["/k-1"] = web.Response(status=404, headers=told)
    api.job(auth={"query": {"name": "key", "secretRef": {"name": "s"}}})
    headers = dict((await api.failure()).headers)
    assert headers["link"] == '</k-1?key=***&page=2>; rel="next"'
    assert headers["x-asked-by"] == "x" * 200 + "***", "hidden before it is cut"


async def test_a_secret_that_was_changed_is_read_when_the_api_refuses(api: Asked) -> None:
    async def answer(request: web.Request) -> web.Response:
        good = request.headers["authorization"] == "Bearer new"
        return text({"id": 1}) if good else web.Response(status=401)

    (api.folder / "token").write_text("old")
    api.answers["/k-1"] = answer
    api.job(auth={"bearer": {"secretRef": {"name": "s"}}})
    failure = await api.failure()
    assert (failure.reason, failure.status) == (FailureReason.AUTHENTICATION, 401)
    assert failure.message == "the API answered 401 Unauthorized: it refuses the credentials"
    (api.folder / "token").write_text("new\n")
    assert await api.records() == [{"id": 1}]
    assert len(api.requests) == 3


async def test_a_slow_drip_is_given_up(api: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(200):
            await answer.write(b" ")
            await asyncio.sleep(0.02)
        return answer

    monkeypatch.setattr("sluice_workers.fetch.http.reading.GRACE", 0.2)
    api.answers["/k-1"] = drip
    api.job()
    failure = await api.failure()
    assert failure.reason is FailureReason.TOO_SLOW
    assert "less than minBytesPerSecond (100)" in failure.message


async def test_no_content_is_a_success(api: Asked) -> None:
    api.answers["/k-1"] = web.Response(status=204)
    api.job()
    assert await api.records() == []


async def test_an_invalid_item_is_not_asked_for(api: Asked) -> None:
    api.job("/{nope}")
    found = await api.ask(replace(ITEM, offset=1))
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.INVALID_ITEM


def test_an_auth_names_its_secret() -> None:
    auth = Auth.model_validate({"basic": {"secretRef": {"name": "s"}}})
    assert auth.secret == ("s", ("username", "password"))


async def test_what_leads_to_an_origin_that_is_down_does_not_ask_it(api: Asked) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    api.addresses = Addresses(("127.0.0.0/8", "::1/128"))
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": f"{other}/two"})
    api.job(allowedOrigins=[other], maxRedirects=1)
    api.breakers.failed(other, 0, "down")
    api.breakers.failed(api.url, 0, "down")
    with pytest.raises(OriginPausedError) as error:
        await api.ask()
    assert error.value.origin == other
    assert not api.breakers.is_open(api.url), "it answered"
    assert len(api.requests) == 1


async def test_a_walk_goes_on_with_the_page_at_which_its_origin_was_down(api: Asked) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    api.addresses = Addresses(("127.0.0.0/8", "::1/128"))
    api.answers["/k-1"] = text({"id": 1}, headers={"Link": f'<{other}/two>; rel="next"'})
    api.answers["/two"] = text({"id": 2})
    api.job(pagination={"linkHeader": {}}, allowedOrigins=[other])
    assert api.origin() == api.url
    api.breakers.failed(other, 0, "down")
    with pytest.raises(OriginPausedError):
        await api.ask()
    assert api.origin() == other
    api.breakers.answered(other)
    assert await api.records() == [{"id": 1}, {"id": 2}]
    assert [request.path for request in api.requests] == ["/k-1", "/two"]


@pytest.mark.parametrize("status", [503, 404])
async def test_a_failure_is_that_of_the_origin_that_was_asked_last(api: Asked, status: int) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    api.addresses = Addresses(("127.0.0.0/8", "::1/128"))
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": f"{other}/two"})
    api.answers["/two"] = web.Response(status=status)
    api.job(allowedOrigins=[other], maxRedirects=1)
    assert (await api.failure()).origin == other


async def test_whom_no_request_reached_did_not_answer(api: Asked) -> None:
    other = api.url.replace("127.0.0.1", "localhost")
    target = {"Location": f"{other}/two"}
    api.answers["/k-1"] = web.Response(status=302, headers={"Location": "/again"})
    api.answers["/again"] = web.Response(status=302, headers=target)
    api.job(allowedOrigins=[other], maxRedirects=1)
    failure = await api.failure()
    assert (failure.reason, failure.origin) == (FailureReason.REDIRECT, api.url)


async def test_where_no_request_can_be_made_no_origin_is_at_fault(api: Asked) -> None:
    api.job("/{nothing}")
    assert (await api.failure()).origin is None
    assert api.origin() == api.url
    api.url = "http://{nothing}"
    api.job("/x")
    assert api.origin() == ""


async def test_large_answers_are_not_in_memory_all_at_once(
    api: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve of a megabyte, with room for two: all arrive, and never more than two are held."""
    held: list[int] = []

    class Watched(Arriving):
        def _serve(self) -> None:
            super()._serve()
            held.append((2 << 20) - self.left)

    monkeypatch.setattr("sluice_workers.fetch.http.exchange.Arriving", lambda: Watched(2 << 20))
    large = orjson.dumps({"text": "x" * 1_000_000}).decode()
    api.answers = {f"/k-{number}": web.Response(text=large) for number in range(12)}
    api.job()
    items = [replace(ITEM, key=f"k-{number}".encode()) for number in range(12)]
    found = await asyncio.gather(*(api.ask(item) for item in items))
    assert all(isinstance(each, Fetched) for each in found), found
    assert 1 << 20 < max(held) <= 2 << 20
    assert held[-1] == 0
