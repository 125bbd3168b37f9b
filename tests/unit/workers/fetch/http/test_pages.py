"""The pages of an item, one after the other."""

from aiohttp import web

from sluice_workers.wire import FailureReason
from unit.workers.fetch.http.asked import Asked, in_turn, text


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


async def test_an_ignored_page_ends_the_item_with_what_is_there(api: Asked) -> None:
    api.answers["/k-1"] = in_turn(text([{"n": 1}]), web.Response(status=404))
    rule = {"statuses": [404], "action": "Ignore"}
    api.job(pagination={"pageNumber": {}}, records="$[*]", responses=[rule])
    assert await api.records() == [{"n": 1}]
