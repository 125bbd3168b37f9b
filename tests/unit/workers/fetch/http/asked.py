"""A job's API, asked for items: a real HTTP server of the test."""

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from sluice_api.http import Http
from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.http.credentials import Credentials, Static
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.routes import Direct

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


def text(found: object, **more: Any) -> web.Response:
    return web.json_response(found, **more)


def in_turn(*answers: web.Response) -> Answer:
    left = list(answers)

    async def answer(_: web.Request) -> web.StreamResponse:
        return left.pop(0)

    return answer
