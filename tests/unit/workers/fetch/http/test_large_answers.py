"""What many large answers at once hold."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from aiohttp import web

from sluice_workers.fetch.http.arriving import Arriving, Share
from sluice_workers.fetch.outcome import Fetched
from unit.workers.fetch.http.asked import ITEM, Asked


def page(request: web.Request) -> web.Response:
    """One of five, each of a tenth of a megabyte."""
    number = int(request.query["page"])
    return web.json_response([{"text": "x" * 100_000}] if number <= 5 else [])


async def test_nor_are_earlier_pages(api: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve of half a megabyte, with room for two: those that are half read do not add up."""
    held: list[int] = []

    class Watched(Arriving):
        async def take(self, share: Share, size: int) -> None:
            await super().take(share, size)
            held.append((1 << 20) - self.left)

    async def answer(request: web.Request) -> web.Response:
        return page(request)

    monkeypatch.setattr("sluice_workers.fetch.http.api.Arriving", lambda: Watched(1 << 20))
    api.answers = {f"/k-{number}": answer for number in range(12)}
    api.job(records="$[*]", pagination={"pageNumber": {}})
    items = [replace(ITEM, key=f"k-{number}".encode()) for number in range(12)]
    async with asyncio.timeout(30):
        found = await asyncio.gather(*(api.ask(item) for item in items))
    assert [len(each.records) for each in found if isinstance(each, Fetched)] == [5] * 12
    assert 1 << 20 < max(held) <= (1 << 20) + 5 * 128 * 1024


async def test_large_answers_are_not_in_memory_all_at_once(
    api: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve of a megabyte, with room for two: all arrive, and one beyond that is held."""
    held: list[int] = []

    class Watched(Arriving):
        def _serve(self) -> None:
            super()._serve()
            held.append((2 << 20) - self.left)

    monkeypatch.setattr("sluice_workers.fetch.http.api.Arriving", lambda: Watched(2 << 20))
    large = orjson.dumps({"text": "x" * 1_000_000}).decode()
    api.answers = {f"/k-{number}": web.Response(text=large) for number in range(12)}
    api.job()
    items = [replace(ITEM, key=f"k-{number}".encode()) for number in range(12)]
    found = await asyncio.gather(*(api.ask(item) for item in items))
    assert all(isinstance(each, Fetched) for each in found), found
    assert 2 << 20 < max(held) <= 3 << 20
    assert held[-1] == 0
