"""Identities and versions of messages."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_workers.wire import MAX_GENERATION, OFFSET_BITS, item_id, record_id, record_version

generations = st.integers(0, MAX_GENERATION)
offsets = st.integers(0, 2**OFFSET_BITS - 1)


def test_a_seeded_item_is_its_key_and_any_other_is_its_place() -> None:
    place = {"generation": 7, "partition": 3, "offset": 9}
    assert item_id(run="r-1", key="k", **place) == "r-1/k"
    assert item_id(run=None, key="k", **place) == "7-3-9"
    assert record_id("r-1/k", 2) == "r-1/k#2"


@given(generations, offsets, generations, offsets)
def test_versions_order_by_generation_and_then_by_offset(a: int, b: int, c: int, d: int) -> None:
    assert (record_version(a, b) < record_version(c, d)) == ((a, b) < (c, d))
    assert 0 <= record_version(a, b) < 2**63


@pytest.mark.parametrize(("generation", "offset"), [(-1, 0), (2**30, 0), (0, -1), (0, 2**33)])
def test_what_does_not_fit_is_refused(generation: int, offset: int) -> None:
    with pytest.raises(ValueError, match="must be between"):
        record_version(generation, offset)


HELD = """
from sluice_workers.wire import json_text

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * 4096

before = resident()
kept = [json_text({"id": number}) for number in range(50_000)]
print((resident() - before) // len(kept))
"""


def test_json_text_holds_little_more_memory_than_it_is_long() -> None:
    told = subprocess.run([sys.executable, "-c", HELD], capture_output=True, check=True)
    assert int(told.stdout) < 500
