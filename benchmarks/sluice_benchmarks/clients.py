"""HTTP clients under load, until killed: ``python -m sluice_benchmarks.clients NAME URL COUNT``."""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import httpx
import uvloop

from sluice_api.http import Http
from sluice_api.source import CircuitBreaker
from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.breakers import Breakers
from sluice_workers.fetch.http.api import Api
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Fetched
from sluice_workers.fetch.routes import Direct
from sluice_workers.runtime.garbage import collect_seldom

Ask = Callable[[], Awaitable[None]]


def plain_httpx(url: str, in_flight: int) -> Ask:
    """Plain httpx, as it comes."""
    keys = itertools.count()
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    client = httpx.AsyncClient(limits=limits, timeout=30)

    async def ask() -> None:
        (await client.get(f"{url}/{next(keys)}")).raise_for_status()

    return ask


def raw_aiohttp(url: str, in_flight: int) -> Ask:
    """Raw aiohttp, as it comes."""
    keys = itertools.count()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight))

    async def ask() -> None:
        async with session.get(f"{url}/{next(keys)}") as response:
            response.raise_for_status()
            await response.read()

    return ask


def tuned_aiohttp(url: str, in_flight: int) -> Ask:
    """Raw aiohttp with the collector as the fetcher's processes have it."""
    collect_seldom()
    return raw_aiohttp(url, in_flight)


async def permitted() -> None:
    """Permit everything."""


def fetcher(url: str, in_flight: int) -> Ask:
    """The fetcher's HTTP path in a process as its own: from item to records."""
    collect_seldom()
    keys = itertools.count()
    http = Http(url=f"{url}/{{key}}")
    addresses = Addresses(("127.0.0.0/8",))
    gate, routes = Breakers(CircuitBreaker()), Direct(in_flight, addresses)
    api = Api(http, {}, None, permitted, gate, addresses)

    async def ask() -> None:
        key = next(keys)
        name = str(key)
        item = Item(partition=0, offset=key, key=name.encode(), value=b"", id=name, version=key)
        route = await routes.take(item.key)
        outcome = await api.ask(item, route)
        assert isinstance(outcome, Fetched), outcome

    return ask


CLIENTS: Final[dict[str, Callable[[str, int], Ask]]] = {
    "httpx": plain_httpx,
    "aiohttp": raw_aiohttp,
    "aiohttp, tuned": tuned_aiohttp,
    "fetcher": fetcher,
}


async def load(name: str, url: str, in_flight: int) -> None:
    """Keep ``in_flight`` requests going for ever."""
    ask = CLIENTS[name](url, in_flight)

    async def one() -> None:
        while True:
            await ask()

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one())


if __name__ == "__main__":
    uvloop.run(load(sys.argv[1], sys.argv[2], int(sys.argv[3])))
