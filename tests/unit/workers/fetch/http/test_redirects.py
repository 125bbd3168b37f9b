"""Where requests may be led."""

import pytest
from aiohttp import web

from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.outcome import Fetched
from sluice_workers.wire import FailureReason
from unit.workers.fetch.http.asked import Asked, text


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
