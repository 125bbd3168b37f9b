"""What these tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from unit.workers.fetch.http.asked import Asked


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Asked]:
    found = Asked(tmp_path)
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", found.handle)
    async with TestServer(application) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found
