"""What leads to an origin that is down, and whose failure it is."""

import pytest
from aiohttp import web

from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import OriginPausedError
from sluice_workers.wire import FailureReason
from unit.workers.fetch.http.asked import Asked, text


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
