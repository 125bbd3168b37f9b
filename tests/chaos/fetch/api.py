"""The API that fetchers ask, a process of its own whose log outlives it.

``python -m chaos.fetch.api ADDRESS`` serves ``/<kind>/<key>/<number>`` at port 8080. A line of the
log is ``<monotonic seconds> <number> <status>``, where the status is 0 as a request begins.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from aiohttp import web

from chaos.faults import Kind
from chaos.services import ANSWERS

PORT: Final = 8080
LOG: Final = Path("/run/logs/requests")
FAILS: Final = 2
"""How often a flaky item fails."""


class Api:
    """Answers as the mode says, else as the item's kind says."""

    def __init__(self) -> None:
        self._log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._asked: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.Response:
        number, kind = request.match_info["number"], request.match_info["kind"]
        self._note(number, 0)
        self._asked[number] += 1
        mode = ANSWERS.read_text()
        await asyncio.sleep(random.uniform(0.02, 0.06))
        if mode == Kind.HANG_UP:
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError
        status = self._status(mode, kind, self._asked[number])
        self._note(number, status)
        return web.json_response({"number": int(number)}, status=status)

    def _status(self, mode: str, kind: str, asked: int) -> int:
        if mode:
            return 429 if mode == Kind.LIMIT else 500
        if kind == "bad":
            return 404
        return 503 if kind == "flaky" and asked <= FAILS else 200

    def _note(self, number: str, status: int) -> None:
        os.write(self._log, f"{time.monotonic():.4f} {number} {status}\n".encode())


def main(address: str) -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_get("/{kind}/{key}/{number}", Api().handle)
    web.run_app(app, host=address, port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main(sys.argv[1])
