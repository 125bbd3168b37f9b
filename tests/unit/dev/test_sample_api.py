import json
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from sample_api.behaviour import LASTING, Behaviour, Fault, fault, fault_of_request
from sample_api.dataset import cities, pack
from sample_api.server import SampleApi

SOME_OF_EACH = Behaviour(
    missing=0.1, broken=0.1, unreadable=0.1, throttled=0.1, unavailable=0.1, garbled=0.1
)
MEBIBYTE = 2**20

Client = TestClient[object, object]


@pytest.fixture
async def api() -> AsyncIterator[Client]:
    records = [{"id": number, "name": f"city {number}"} for number in range(1000)]
    behaviour = SOME_OF_EACH.changed({"latency_ms": 0, "jitter_ms": 0})
    async with TestClient(TestServer(SampleApi(records, behaviour).application())) as client:
        yield client


def key_with(wanted: Fault | None) -> str:
    return next(str(n) for n in range(1000) if fault(SOME_OF_EACH, str(n)) is wanted)


@given(st.text(), st.integers(min_value=1, max_value=10))
def test_faults_last_or_pass_after_the_first_request(key: str, earlier: int) -> None:
    found = fault(SOME_OF_EACH, key)
    assert fault_of_request(SOME_OF_EACH, key, 0) is found
    assert fault_of_request(SOME_OF_EACH, key, earlier) is (found if found in LASTING else None)


@given(st.text())
def test_a_share_of_one_takes_every_key_and_none_takes_none(key: str) -> None:
    assert fault(Behaviour(broken=1), key) is Fault.BROKEN
    assert fault(Behaviour(), key) is None


def test_shares_are_met_over_many_keys() -> None:
    found = [fault(SOME_OF_EACH, str(number)) for number in range(10_000)]
    assert all(900 < found.count(each) < 1100 for each in Fault)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"latency": 1}, "latency is not one of broken, "),
        ({"broken": "often"}, "broken must be a number, found 'often'"),
        ({"broken": -0.1}, "broken must not be negative"),
        ({"broken": 0.6, "missing": 0.5}, "must sum to at most 1, found 1.1"),
    ],
)
def test_wrong_behaviour_is_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Behaviour().changed(values)


def test_the_data_fits_a_config_map() -> None:
    found = cities()
    assert len(found) > 30_000
    assert all(key == str(city["id"]) for key, city in found.items())
    assert len(pack(found.values())) < MEBIBYTE
    assert len("\n".join(found)) < MEBIBYTE


@pytest.mark.parametrize(
    ("wanted", "statuses"),
    [
        (None, [200, 200]),
        (Fault.MISSING, [404, 404]),
        (Fault.BROKEN, [500, 500]),
        (Fault.THROTTLED, [429, 200]),
        (Fault.UNAVAILABLE, [503, 200]),
    ],
)
async def test_statuses_follow_the_fault(
    api: Client, wanted: Fault | None, statuses: list[int]
) -> None:
    answers = [await api.get(f"/cities/{key_with(wanted)}") for _ in statuses]
    assert [answer.status for answer in answers] == statuses
    assert ("Retry-After" in answers[0].headers) == (wanted is Fault.THROTTLED)


@pytest.mark.parametrize(("wanted", "cured"), [(Fault.GARBLED, True), (Fault.UNREADABLE, False)])
async def test_malformed_answers_end_in_the_middle(api: Client, wanted: Fault, cured: bool) -> None:
    path = f"/cities/{key_with(wanted)}"
    first, second = [await (await api.get(path)).text() for _ in range(2)]
    with pytest.raises(json.JSONDecodeError):
        json.loads(first)
    assert (second != first) is cured


async def test_the_rate_is_limited_by_the_second(api: Client) -> None:
    await api.put("/behaviour", json={"requests_per_second": 5})
    statuses = [(await api.get(f"/cities/{key_with(None)}")).status for _ in range(20)]
    assert statuses.count(429) >= 20 - 2 * 5
    assert 200 in statuses


async def test_behaviour_changes_while_it_runs_and_mistakes_change_nothing(api: Client) -> None:
    key = key_with(None)
    assert (await api.put("/behaviour", json={"missing": 1, "broken": 1})).status == 400
    assert (await api.get(f"/cities/{key}")).status == 200
    everything_missing = {each.value: float(each is Fault.MISSING) for each in Fault}
    assert (await api.put("/behaviour", json=everything_missing)).status == 200
    assert (await api.get(f"/cities/{key}")).status == 404


async def test_the_log_counts_and_forgets(api: Client) -> None:
    throttled, fine = key_with(Fault.THROTTLED), key_with(None)
    for key in (throttled, throttled, fine, "no such key"):
        await api.get(f"/cities/{key}")
    log = await (await api.get("/log")).json()
    assert log["requests"] == 3
    assert log["answers"] == {"throttled": 1, "record": 2, "missing": 1}
    assert sum(log["perSecond"].values()) == 3
    assert await (await api.get("/log/keys")).json() == {throttled: 2, fine: 1}
    await api.delete("/log")
    assert (await (await api.get("/log")).json())["requests"] == 0
    assert (await api.get(f"/cities/{throttled}")).status == 429
