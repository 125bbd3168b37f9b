"""Names and manifests: what they tell, and that a gap is never passed over."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.archive import ArchiveSource
from sluice_api.names import JobName
from sluice_workers.archive.manifest import (
    BrokenManifestError,
    Entry,
    Place,
    check,
    merged,
    read_part,
)
from sluice_workers.archive.replay import by_partition, within

PLACE = Place(JobName("team", "users"), "0123-1", "team.users.records", 7, 3)


def entry(first: int, following: int, **changes: Any) -> Entry:
    content = {
        "object": PLACE.object(first),
        "first": first,
        "next": following,
        "records": following - first,
        "bytes": 10,
        "sha256": "0",
        "earliest": 100,
        "latest": 200,
    }
    return Entry.model_validate(content | changes)


def source(**changes: Any) -> ArchiveSource:
    content = {"s3": {"bucket": "raw", "secretRef": {"name": "s"}}, "job": "users"}
    return ArchiveSource.model_validate(content | changes)


def test_names_sort_by_offset() -> None:
    assert PLACE.object(12) == ("team/users/0123-1/records/7/00003/00000000000000000012.ndjson.zst")
    assert PLACE.part(9) < PLACE.part(10)
    assert PLACE.part(0).startswith(PLACE.manifest + "/")


def test_a_part_is_read_as_it_was_written() -> None:
    part = PLACE.part_of([entry(0, 5), entry(5, 9)])
    assert read_part("p", part.model_dump_json(by_alias=True).encode()) == part
    with pytest.raises(BrokenManifestError, match="manifest p cannot be read: job: Field required"):
        read_part("p", b"{}")


@given(st.lists(st.integers(0, 50), min_size=1, unique=True), st.data())
def test_entries_join_and_a_gap_or_overlap_is_told(bounds: list[int], data: Any) -> None:
    bounds = sorted(bounds)
    entries = [entry(a, b) for a, b in pairwise(bounds)]
    shuffled = data.draw(st.permutations(entries))
    half = len(entries) // 2
    assert merged(shuffled[:half], shuffled[half:] + shuffled[:1]) == tuple(entries)
    check(entries)
    if len(entries) > 2:
        missing = data.draw(st.integers(1, len(entries) - 2))
        with pytest.raises(BrokenManifestError, match="a gap"):
            check(entries[:missing] + entries[missing + 1 :])


def test_what_was_written_anew_counts() -> None:
    assert merged([entry(0, 5)], [entry(0, 3)]) == (entry(0, 3),)
    with pytest.raises(BrokenManifestError, match="an overlap"):
        check([entry(0, 5), entry(3, 9)])


def test_a_replay_takes_what_is_asked_for() -> None:
    names = [Place(PLACE.job, "r", "t", 7, p).part(first) for p in (11, 2) for first in (10, 0)]
    found = by_partition([*names, "team/users/r/records/7/00002/0.ndjson.zst"], source())
    assert list(found) == [(7, 2), (7, 11)]
    assert found[7, 2] == [names[3], names[2]]
    assert list(by_partition(names, source(partitions=[11]))) == [(7, 11)]
    old, new = entry(0, 5), entry(5, 9, earliest=201, latest=300)
    noon = "1970-01-01T00:00:00.200Z"
    assert list(within([old, new], source(since=noon))) == [old, new]
    assert list(within([old, new], source(until=noon))) == [old]
    assert list(within([old, new], source(since="1970-01-01T00:00:00.201Z"))) == [new]
