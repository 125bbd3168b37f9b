"""What many large answers at once hold."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from aiohttp import web

from sluice_workers.fetch.http.arriving import Arriving
from sluice_workers.fetch.outcome import Fetched
from unit.workers.fetch.http.asked import ITEM, Asked


async def test_large_answers_are_not_in_memory_all_at_once(
    api: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve of a megabyte, with room for two: all arrive, and never more than two are held."""
    held: list[int] = []

    class Watched(Arriving):
        def _serve(self) -> None:
            super()._serve()
            held.append((2 << 20) - self.left)

    monkeypatch.setattr("sluice_workers.fetch.http.exchange.Arriving", lambda: Watched(2 << 20))
    large = orjson.dumps({"text": "x" * 1_000_000}).decode()
    api.answers = {f"/k-{number}": web.Response(text=large) for number in range(12)}
    api.job()
    items = [replace(ITEM, key=f"k-{number}".encode()) for number in range(12)]
    found = await asyncio.gather(*(api.ask(item) for item in items))
    assert all(isinstance(each, Fetched) for each in found), found
    assert 1 << 20 < max(held) <= 2 << 20
    assert held[-1] == 0
