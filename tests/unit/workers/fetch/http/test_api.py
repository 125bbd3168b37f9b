"""One attempt at an item: its request, and what its answer means."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from sluice_workers.fetch.outcome import Failure
from sluice_workers.wire import FailureReason
from unit.workers.fetch.http.asked import ITEM, Asked, text


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


async def test_a_record_counts_for_more_than_its_text(api: Asked) -> None:
    api.answers["/k-1"] = web.Response(body=b"{}\n" * 10_000)
    api.job(format="NDJSON", maxItemBytes=1 << 20)
    assert (await api.failure()).reason is FailureReason.TOO_LARGE


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
