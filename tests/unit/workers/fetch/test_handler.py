"""The user's own coroutine, with a real API to ask."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sluice_api.errors import ConfigurationError
from sluice_api.source import CircuitBreaker
from sluice_api.source import Handler as Settings
from sluice_handler import Context, GiveUp, Item, RateLimited, Retry
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.connection import open_session
from sluice_workers.fetch.handler import HandlerApi, encoded, failure, load
from sluice_workers.fetch.item import Item as QueueItem
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.proxy import Proxy
from sluice_workers.fetch.routes import Direct, Route
from sluice_workers.wire import FailureReason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = __name__
LOCAL = Addresses(("127.0.0.0/8",))
GATE = Breakers(CircuitBreaker())


async def two_pages(item: Item, context: Context) -> list[dict[str, Any]]:
    first = await context.client.get(context.parameters["url"], params={"key": item.key})
    second = await context.client.get(context.parameters["url"], params={"page": 2})
    return [
        {**first.json(), "kind": item.attributes["kind"], "token": context.secrets["token"]},
        second.json(),
    ]


async def pages_one_by_one(item: Item, context: Context) -> AsyncIterator[dict[str, Any]]:
    for number in range(3):
        answer = await context.client.get(context.parameters["url"], params={"page": number})
        yield {"key": item.key, **answer.json()}


async def refused(_: Item, context: Context) -> list[dict[str, Any]]:
    answer = await context.client.get(f"{context.parameters['url']}/refused")
    answer.raise_for_status()
    return []


async def slow(_: Item, context: Context) -> list[dict[str, Any]]:
    await context.client.get(f"{context.parameters['url']}/slow")
    return []


async def impatient(_: Item, context: Context) -> list[dict[str, Any]]:
    await context.client.get(f"{context.parameters['url']}/slow", timeout=0.2)
    return []


async def faulty(item: Item, _: Context) -> list[dict[str, Any]]:
    return [{"name": item.attributes["name"]}]


async def endless(item: Item, _: Context) -> AsyncIterator[dict[str, Any]]:
    while True:
        yield {"key": item.key, "text": "x" * 100}


async def tells_its_key(_: Item, context: Context) -> list[dict[str, Any]]:
    raise GiveUp("x" * 4085 + context.secrets["key"])


async def one_record(_: Item, __: Context) -> Any:
    return {"id": 1}


async def cancels(_: Item, __: Context) -> list[dict[str, Any]]:
    lost = asyncio.create_task(asyncio.sleep(5))
    lost.cancel()
    await lost
    return []


async def leaves(_: Item, __: Context) -> list[dict[str, Any]]:
    sys.exit(3)


async def closes(_: Item, context: Context) -> list[dict[str, Any]]:
    async with context.client as client:
        return [(await client.get(context.parameters["url"])).json()]


async def closes_by_hand(_: Item, context: Context) -> list[dict[str, Any]]:
    await context.client.aclose()
    return []


async def waits_for_words(_: Item, __: Context) -> list[dict[str, Any]]:
    after: Any = "soon"
    raise Retry("not yet", after=after)


def not_async(_: Item, __: Context) -> Any:
    return []


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        answer = web.json_response({**request.query, "cookies": len(request.cookies)})
        answer.set_cookie("seen", "1")
        return answer

    async def too_often(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    async def hang(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"{")
        await asyncio.sleep(5)
        return answer

    application = web.Application()
    application.router.add_get("/", echo)
    application.router.add_get("/refused", too_often)
    application.router.add_get("/slow", hang)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


class Asked:
    """A handler, and how often it asked for permission."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.permissions = 0

    async def permission(self) -> None:
        self.permissions += 1

    async def __call__(self, name: str, value: bytes = b"{}", **more: Any) -> Fetched | Failure:
        return (await self.often(1, name, value, **more))[0]

    async def often(
        self, times: int, name: str, value: bytes = b"{}", **more: Any
    ) -> list[Fetched | Failure]:
        settings = Settings(function=f"{HERE}:{name}", parameters={"url": self.url}, **more)
        routes = Direct(10, LOCAL)
        api = HandlerApi(
            settings, {"token": "t-1", "key": "0123456789"}, self.permission, GATE, LOCAL
        )
        item = QueueItem(0, 0, b"k-1", value, "r/k-1", 1)
        try:
            return [await api.ask(item, await routes.take(b"k-1")) for _ in range(times)]
        finally:
            await routes.close()


@pytest.fixture
def asked(url: str) -> Asked:
    return Asked(url)


async def test_records_are_what_the_coroutine_returns(asked: Asked) -> None:
    found = await asked("two_pages", b'{"kind": "city"}')
    assert isinstance(found, Fetched)
    assert found.records == (
        b'{"key":"k-1","cookies":0,"kind":"city","token":"t-1"}',
        b'{"page":"2","cookies":0}',
    )


async def test_a_generator_yields_records_and_each_further_request_asks_permission(
    asked: Asked,
) -> None:
    found = await asked("pages_one_by_one")
    assert isinstance(found, Fetched)
    assert len(found.records) == 3
    assert asked.permissions == 2


async def test_a_refusal_keeps_its_status_and_the_wait_that_was_asked_for(asked: Asked) -> None:
    found = await asked("refused")
    assert isinstance(found, Failure)
    assert (found.status, found.retry_after, found.rate_limited) == (429, 7.0, True)


async def test_a_time_out_of_the_client_is_one_of_the_item(asked: Asked) -> None:
    found = await asked("impatient")
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.TIMEOUT
    assert found.message.startswith("no answer within the client's time-out (")


async def test_what_takes_too_long_is_cut_off(asked: Asked) -> None:
    found = await asked("slow", timeout="300ms")
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.TIMEOUT


async def test_a_fault_is_told_with_its_line(asked: Asked) -> None:
    found = await asked("faulty")
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.HANDLER_ERROR
    assert "KeyError: 'name'" in found.message
    assert f"{Path(__file__).name}:" in found.message


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("cancels", "CancelledError"),
        ("leaves", "SystemExit: 3"),
        ("waits_for_words", "ValueError: could not convert string to float: 'soon'"),
    ],
)
async def test_whatever_a_handler_does_ends_its_own_item_alone(
    asked: Asked, function: str, told: str
) -> None:
    found = await asked(function)
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.HANDLER_ERROR
    assert told in found.message


async def test_what_it_must_keep_to_itself_is_told_nobody(asked: Asked) -> None:
    found = await asked("tells_its_key")
    assert isinstance(found, Failure)
    assert found.message == "x" * 4085 + "***"


async def test_a_process_that_stops_ends_its_handlers(asked: Asked) -> None:
    running = asyncio.create_task(asked("slow"))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("function", ["closes", "closes_by_hand"])
async def test_a_client_that_one_item_closes_serves_the_next(asked: Asked, function: str) -> None:
    for found in await asked.often(3, function):
        assert isinstance(found, Fetched)


async def test_an_item_without_end_is_given_up_at_its_bound(asked: Asked) -> None:
    found = await asked("endless", max_item_bytes=5000)
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.TOO_LARGE
    assert "maxItemBytes (5000)" in found.message


async def test_attributes_must_be_an_object(asked: Asked) -> None:
    found = await asked("two_pages", b"[1]")
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.INVALID_ITEM


async def test_one_record_is_no_list_of_records(asked: Asked) -> None:
    found = await asked("one_record")
    assert isinstance(found, Failure)
    assert found.message == "the handler must return a list of records, found dict"


async def test_no_proxy_is_asked_for_an_address_that_is_not_allowed(url: str) -> None:
    settings = Settings(function=f"{HERE}:refused", parameters={"url": url})
    api = HandlerApi(settings, {}, Asked(url).permission, GATE, Addresses())
    proxy = Proxy("http", "127.0.0.1", 1)
    async with open_session(1, Addresses(), proxy) as session:
        route = Route("a proxy", session, proxy=proxy)
        found = await api.ask(QueueItem(0, 0, b"k-1", b"{}", "r/k-1", 1), route)
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.FORBIDDEN_ADDRESS


async def test_nothing_listens(unused_tcp_port: int) -> None:
    found = await Asked(f"http://127.0.0.1:{unused_tcp_port}")("refused")
    assert isinstance(found, Failure)
    assert found.reason is FailureReason.CONNECTION


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        ("no_such_module:fetch", "no_such_module cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:no_such_function", "must name an async function, found nothing"),
        (f"{HERE}:not_async", "must name an async function, found function"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_at_start(
    function: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^source\.handler\.function: {complaint}"):
        load(function)


def test_a_module_that_fails_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_handler.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"RuntimeError: no licence.*broken_handler.py:1"):
        load("broken_handler:fetch")
    assert "broken_handler" not in sys.modules


@pytest.mark.parametrize(
    ("error", "reason", "retry_after"),
    [
        (GiveUp("closed"), FailureReason.GIVEN_UP, None),
        (Retry("not yet", after=3), FailureReason.RETRIED, 3),
        (RateLimited("slower", after=4), FailureReason.HTTP_STATUS, 4),
        (RateLimited("slower", after=float("inf")), FailureReason.HTTP_STATUS, 86_400),
        (Retry("long ago", after=-3), FailureReason.RETRIED, 0),
        (Retry("who knows", after=float("nan")), FailureReason.RETRIED, 0),
        (httpx.ConnectError("refused"), FailureReason.CONNECTION, None),
        (httpx.DecodingError("cut"), FailureReason.MALFORMED, None),
        (aiohttp.ServerDisconnectedError(), FailureReason.CONNECTION, None),
        (ConnectionResetError(), FailureReason.CONNECTION, None),
        (ZeroDivisionError(), FailureReason.HANDLER_ERROR, None),
    ],
)
def test_an_exception_says_what_becomes_of_the_item(
    error: Exception, reason: FailureReason, retry_after: float | None
) -> None:
    found = failure(error, NOW)
    assert (found.reason, found.retry_after) == (reason, retry_after)
    assert found.message


@pytest.mark.parametrize("record", [[1], "text", None, {"at": object()}, {1: 2}])
def test_a_record_must_be_a_json_object(record: Any) -> None:
    with pytest.raises(ValueError, match="record"):
        encoded(record)
