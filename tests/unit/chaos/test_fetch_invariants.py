"""The judge of fetchers finds each kind of violation, and nothing where all is well."""

from dataclasses import replace
from typing import Any

import pytest

from chaos.fetch.invariants import Evidence, Message, Request, judge
from chaos.fetch.items import Item

GOOD = Evidence(
    messages=[
        Message(0, 0, Item(0, "a", "good")),
        Message(0, 1, Item(1, "a", "good")),
        Message(0, 2, Item(2, "b", "bad")),
    ],
    requests=[
        Request(1.0, 0, 0), Request(1.1, 0, 200), Request(1.2, 1, 0), Request(1.3, 1, 200),
        Request(1.4, 2, 0), Request(1.5, 2, 404),
    ],
    fetched={0, 1},
    dead={2},
    dead_keys=frozenset("b"),
    failed_keys=frozenset("b"),
    offsets={0: 3},
    commits=[(1.15, 0, 1), (2.0, 0, 3)],
    hurt=[],
    held_up=[],
    limit=5,
    burst=1,
    connections={"p": 2, "all": 2},
    caps={"p": 2, "all": 3},
)  # fmt: skip
AGAIN = [Request(5.0, 0, 0), Request(5.1, 0, 200)]
MANY = [Request(8 + number / 100, 0, 0) for number in range(9)]


def test_nothing_is_found_where_all_is_well() -> None:
    assert judge(GOOD).holds


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("lost", {"fetched": {0}}),
        ("lost", {"fetched": {0, 1, 2}, "dead": set()}),
        ("lost", {"commits": [(1.05, 0, 1)]}),
        ("doubled", {"requests": [*GOOD.requests, *AGAIN]}),
        ("reordered", {"requests": [Request(1.0, 1, 0), *GOOD.requests]}),
        ("stuck", {"offsets": {0: 2}}),
        ("over_limit", {"requests": [*GOOD.requests, *MANY]}),
        ("over_cap", {"connections": {"p": 3}}),
        ("over_cap", {"connections": {"all": 4}}),
        ("index", {"failed_keys": frozenset()}),
        ("index", {"failed_keys": frozenset("ab")}),
        ("index", {"failed_keys": None}),
    ],
)
def test_each_kind_is_found_and_no_other(kind: str, changes: dict[str, Any]) -> None:
    found = judge(replace(GOOD, **changes)).by_name()
    assert {name for name, sentences in found.items() if sentences} == {kind}


def test_what_faults_explain_is_no_violation() -> None:
    requests = [*GOOD.requests, *AGAIN, *MANY]
    assert judge(replace(GOOD, requests=requests, hurt=[(2, 3)], held_up=[(7, 9)])).holds
