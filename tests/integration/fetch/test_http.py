"""What YAML says about an API, through whole pods: pages, tokens, answers that lie."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from redis.asyncio import Redis

from integration.fetch.lies import LIES, lying
from integration.fetch.world import MakeWorld, fetcher, keys, numbers, parsed
from integration.processes import write_folder
from sluice_api.http import Http
from sluice_api.source import RateLimit, Retry

CLIENT = {"auth/clientId": "scout", "auth/clientSecret": "open-sesame-4711"}
TOKEN = "token-that-nobody-may-see-"


class Identity:
    """A token endpoint, and an API that takes nothing but its newest token."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[dict[str, str]] = []
        self.authorization: set[str] = set()
        self.lifetime = 3600
        self.broken = False
        self.pages = 1
        self.refused = 0
        self.asked: Counter[str] = Counter()
        self.times: list[float] = []

    @property
    def newest(self) -> str:
        return f"{TOKEN}{len(self.requests)}"

    async def token(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.json_response({"error": "temporarily_unavailable"}, status=503)
        self.requests.append({key: str(value) for key, value in (await request.post()).items()})
        self.authorization.add(request.headers.get("authorization", ""))
        await asyncio.sleep(0.2)
        return web.json_response(
            {"access_token": self.newest, "token_type": "Bearer", "expires_in": self.lifetime}
        )

    async def api(self, request: web.Request) -> web.Response:
        self.times.append(time.monotonic())
        if request.headers.get("authorization") != f"Bearer {self.newest}":
            self.refused += 1
            return web.Response(status=401)
        key, page = request.match_info["key"], int(request.query.get("page", "1"))
        self.asked[f"{key}/{page}"] += 1
        link = {"Link": f'</items/{key}?page={page + 1}>; rel="next"'}
        more = link if page < self.pages else {}
        return web.json_response([{"id": key, "page": page}], headers=more)

    def http(self, **more: object) -> Http:
        client = {
            "tokenUrl": f"http://127.0.0.1:{self.port}/token",
            "secretRef": {"name": "client"},
            "scopes": ["read", "list"],
            "parameters": {"audience": "items"},
        }
        content = {
            "url": f"http://127.0.0.1:{self.port}/items/{{key}}",
            "records": "$[*]",
            "auth": {"oauth2ClientCredentials": client},
        }
        return Http.model_validate(content | more)


@pytest.fixture
async def identity() -> AsyncIterator[Identity]:
    found = Identity()
    application = web.Application()
    application.router.add_post("/token", found.token)
    application.router.add_get("/items/{key}", found.api)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


async def test_one_token_serves_all_processes_and_is_private(
    make_world: MakeWorld, identity: Identity
) -> None:
    world = await make_world(http=identity.http(), processes=4)
    write_folder(world.folder, CLIENT)
    await world.seed(*numbers(400))
    async with fetcher(world), fetcher(world):
        await world.wait_committed(400)
    assert set(keys(await world.read(world.settings.records))) == set(numbers(400))
    assert identity.refused == 0
    assert identity.requests == [
        {"grant_type": "client_credentials", "audience": "items", "scope": "read list"}
    ]
    assert identity.authorization == {"Basic c2NvdXQ6b3Blbi1zZXNhbWUtNDcxMQ=="}
    redis = Redis.from_url(world.redis_url)
    kept = [key async for key in redis.scan_iter(match=world.job.redis_key("token:*"))]
    values = [await redis.get(key) for key in kept]
    await redis.aclose()
    assert len(kept) == 1
    assert not any(TOKEN.encode() in value or b"sesame" in value for value in values)


async def test_a_refused_token_is_asked_for_anew_once_for_all(
    make_world: MakeWorld, identity: Identity
) -> None:
    world = await make_world(http=identity.http(), processes=4)
    write_folder(world.folder, CLIENT)
    await world.seed(*numbers(100))
    async with fetcher(world):
        await world.wait_committed(100)
        await asyncio.sleep(11)  # a token that young would not be asked for anew
        identity.requests.append({})  # the API takes another token from now on
        await world.seed(*(f"later-{number}" for number in range(400)))
        await world.wait_committed(500)
    assert len(identity.requests) == 3
    assert identity.refused >= 1
    found = keys(await world.read(world.settings.records))
    assert len(found) == 500
    assert await world.failed() == set()


async def test_a_token_endpoint_that_fails_costs_no_item_and_is_told(
    make_world: MakeWorld, identity: Identity
) -> None:
    identity.broken = True
    world = await make_world(http=identity.http(), retry=Retry(attempts=2))
    write_folder(world.folder, CLIENT)
    await world.seed(*numbers(1000))
    async with fetcher(world):
        await asyncio.sleep(8)
        identity.broken = False
        await world.wait_committed(1000)
    failed = await world.failed()
    dead = [parsed(message) for message in await world.read(world.settings.dead)]
    assert {item.reason for item in dead} <= {"AuthenticationFailed"}
    assert all("503: temporarily_unavailable" in item.message for item in dead)
    assert len(failed) == len(dead) <= 100, "the breaker keeps the others back"
    assert len(set(keys(await world.read(world.settings.records)))) == 1000 - len(failed)


async def test_pages_are_permitted_one_by_one(make_world: MakeWorld, identity: Identity) -> None:
    identity.pages = 5
    limit = RateLimit.model_validate({"requests": 50, "per": "1s", "burst": 5})
    http = identity.http(pagination={"linkHeader": {}})
    world = await make_world(http=http, rate_limit=limit, processes=2)
    write_folder(world.folder, CLIENT)
    await world.seed(*numbers(40))
    async with fetcher(world):
        await world.wait_committed(40)
    records = [json.loads(message.value) for message in await world.read(world.settings.records)]
    assert Counter(record["id"] for record in records) == dict.fromkeys(numbers(40), 5)
    ordered: dict[str, list[int]] = {}
    for record in records:
        ordered.setdefault(record["id"], []).append(record["page"])
    assert set(map(tuple, ordered.values())) == {(1, 2, 3, 4, 5)}
    assert set(identity.asked.values()) == {1}
    times = sorted(identity.times)
    busiest = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert busiest <= (50 + 5) * 1.1, "requests in any second, with jitter of a loaded machine"


async def test_answers_that_lie_fail_their_own_item_with_a_reason(make_world: MakeWorld) -> None:
    async with lying() as liar:
        http = Http.model_validate(
            {
                "url": f"http://127.0.0.1:{liar.port}/{{key}}",
                "maxRedirects": 3,
                "timeout": "15s",
                "allowedOrigins": ["http://169.254.169.254"],
            }
        )
        retry = Retry.model_validate({"attempts": 1})
        world = await make_world(http=http, retry=retry)
        truth = numbers(300)
        await world.seed(*truth[:150], *LIES, *truth[150:])
        async with fetcher(world):
            await world.wait_committed(300 + len(LIES))
    assert set(keys(await world.read(world.settings.records))) == set(truth)
    dead = {item.key: item for item in map(parsed, await world.read(world.settings.dead))}
    assert {key: item.reason for key, item in dead.items()} == {
        key: reason for key, (_, reason, _) in LIES.items()
    }
    for key, (_, _, told) in LIES.items():
        assert told in dead[key].message
        assert dead[key].message
