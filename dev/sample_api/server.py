"""The HTTP server. Needs aiohttp and the packed data alone: `python -m sample_api.server FILE`.

GET    /cities/{key}   the record, or what `Behaviour` makes of it
GET    /behaviour      how it answers; PUT changes the values given
GET    /log            counts of requests and answers; DELETE forgets them
GET    /log/keys       requests by key
GET    /healthz        200
"""

import asyncio
import gzip
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import asdict, fields
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from sample_api.behaviour import Behaviour, Fault, fault_of_request

PORT: Final = 8000
REMEMBERED_SECONDS: Final = 3600
_STATUS: Final = {
    Fault.MISSING: HTTPStatus.NOT_FOUND,
    Fault.BROKEN: HTTPStatus.INTERNAL_SERVER_ERROR,
    Fault.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    Fault.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Log:
    """What was asked and answered. Bounded by the keys of the data and an hour of seconds."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()

    def asked(self, key: str, now: float) -> int:
        """Count a request; how many for this key came before it."""
        if len(self.seconds) > REMEMBERED_SECONDS:
            del self.seconds[min(self.seconds)]
        self.seconds[int(now)] += 1
        self.keys[key] += 1
        return self.keys[key] - 1


class SampleApi:
    """The API's state and handlers."""

    def __init__(self, records: list[dict[str, object]], behaviour: Behaviour) -> None:
        self._bodies = {
            str(record["id"]): json.dumps(record, ensure_ascii=False).encode() for record in records
        }
        self._behaviour = behaviour
        self._log = Log()

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/cities/{key}", self.city),
                web.get("/behaviour", self.behaviour),
                web.put("/behaviour", self.change_behaviour),
                web.get("/log", self.log),
                web.delete("/log", self.forget),
                web.get("/log/keys", self.log_keys),
                web.get("/healthz", self.healthz),
            ]
        )
        return application

    async def city(self, request: web.Request) -> web.Response:
        """One record, late and with faults as the behaviour says."""
        behaviour, key = self._behaviour, request.match_info["key"]
        now = time.time()
        if 0 < behaviour.requests_per_second <= self._log.seconds[int(now)]:
            self._log.answers[Fault.THROTTLED] += 1
            return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "1"})
        body = self._bodies.get(key)
        earlier = self._log.asked(key, now) if body is not None else 0
        jitter = random.uniform(-1, 1) * behaviour.jitter_ms  # noqa: S311
        await asyncio.sleep(max(0.0, behaviour.latency_ms + jitter) / 1000)
        wrong = Fault.MISSING if body is None else fault_of_request(behaviour, key, earlier)
        self._log.answers[wrong or "record"] += 1
        return _response(wrong, body or b"")

    async def behaviour(self, _request: web.Request) -> web.Response:
        """How the API answers now."""
        return web.json_response(asdict(self._behaviour))

    async def change_behaviour(self, request: web.Request) -> web.Response:
        """Replace the values given; 400 with a sentence when one does not fit."""
        try:
            self._behaviour = self._behaviour.changed(json.loads(await request.text()))
        except (ValueError, TypeError) as error:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=f"{error}\n")
        return await self.behaviour(request)

    async def log(self, _request: web.Request) -> web.Response:
        """Requests for known keys, answers by kind, requests by Unix second."""
        log = self._log
        counts = {"requests": log.keys.total(), "answers": log.answers, "perSecond": log.seconds}
        return web.json_response(counts)

    async def log_keys(self, _request: web.Request) -> web.Response:
        """Requests by key."""
        return web.json_response(self._log.keys)

    async def forget(self, _request: web.Request) -> web.Response:
        """Start the log anew; the first request of each key is a first one again."""
        self._log = Log()
        return web.json_response({})

    async def healthz(self, _request: web.Request) -> web.Response:
        """The server answers."""
        return web.json_response({"records": len(self._bodies)})


def _response(wrong: Fault | None, body: bytes) -> web.Response:
    """A record, an error, or a record cut in two."""
    if wrong in _STATUS:
        headers = {"Retry-After": "1"} if wrong is Fault.THROTTLED else {}
        return web.json_response({"error": wrong}, status=_STATUS[wrong], headers=headers)
    shown = body if wrong is None else body[: len(body) // 2]
    return web.Response(body=shown, content_type="application/json")


def behaviour_of_environment() -> Behaviour:
    """The behaviour at the start: each value from the variable of its name, such as LATENCY_MS."""
    names = [field.name for field in fields(Behaviour)]
    return Behaviour().changed({n: os.environ[n.upper()] for n in names if n.upper() in os.environ})


def main() -> None:
    """Serve the packed data of the file that the first argument names."""
    records = json.loads(gzip.decompress(Path(sys.argv[1]).read_bytes()))
    api = SampleApi(records, behaviour_of_environment())
    web.run_app(api.application(), port=PORT, access_log=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
