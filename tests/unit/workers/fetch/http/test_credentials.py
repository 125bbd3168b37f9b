"""What proves who sends the requests, and is told nobody."""

import base64
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sluice_api.auth import Auth
from sluice_api.errors import ConfigurationError
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.http.credentials import Static
from sluice_workers.wire import FailureReason
from unit.workers.fetch.http.asked import Asked, text

PAIR = base64.b64encode(b"ada:pw").decode()


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
    (api.folder / "token").write_text("t-1-2-3-4-5-6")
    api.answers["/k-1"] = text({"next": {"key": "k-12", "token": "t-1-2-3-4-5-6"}})
    auth = {"bearer": {"secretRef": {"name": "s"}}}
    api.job(pagination={"nextUrl": {"path": "$.next"}}, auth=auth)
    message = (await api.failure()).message
    assert message.endswith("must be text, found {'key': '***', 'token': '***'}")


@pytest.mark.parametrize("filler", [200, 245, 5000])
async def test_a_key_is_hidden_before_the_message_is_cut(api: Asked, filler: int) -> None:
    secret = "pass-word-of-many-letters"
    (api.folder / "token").write_text(secret)
    api.answers["/k-1"] = text({"error": "x" * (filler - 12) + secret, "page": "x" * 60 + secret})
    auth = {"bearer": {"secretRef": {"name": "s"}}}
    api.job(responses=[{"path": "$.error", "action": "Failure"}], auth=auth)
    assert "pas" not in (await api.failure()).message
    api.job(pagination={"nextUrl": {"path": "$"}}, auth=auth)
    assert secret[:8] not in (await api.failure()).message


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


def test_a_token_that_brings_its_scheme_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer t-1")
    auth = Auth.model_validate({"bearer": {"secretRef": {"name": "s"}}})
    with pytest.raises(ConfigurationError, match="must be the token alone"):
        Static(auth, tmp_path)


def test_an_auth_names_its_secret() -> None:
    auth = Auth.model_validate({"basic": {"secretRef": {"name": "s"}}})
    assert auth.secret == ("s", ("username", "password"))
