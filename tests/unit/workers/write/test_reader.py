"""From messages to the records of a batch."""

import pytest

from messages import Received
from sluice_api.errors import DependencyError
from sluice_api.sink import PostgresSink
from sluice_workers import wire
from sluice_workers.settings import Topic
from sluice_workers.write.reader import LEAST, MOST, READ_AHEAD, Reader, fetch_bytes
from sluice_workers.write.row import RowParser

SINK = PostgresSink.model_validate(
    {
        "secretRef": {"name": "w"},
        "table": "public.t",
        "key": ["id"],
        "columns": {"id": {"type": "bigint"}},
    }
)


def reader(**starts: int) -> Reader:
    offsets = {int(name[1:]): offset for name, offset in starts.items()}
    return Reader(RowParser(SINK), Topic(name="t", generation=7), offsets)


def test_rows_and_records_that_are_none_are_told_apart_and_offsets_pass_both() -> None:
    good, bad = Received(b'{"id": 5}', offset=3), Received(b"no json", offset=4)
    batch = reader(p0=3).read([[good, bad]], 1.5)
    assert batch.rows == [(5, 77)]
    assert batch.messages == [good]
    assert [(each.key, each.item, each.value) for each in batch.rejected] == [
        ("k", "r/k", "no json")
    ]
    assert (batch.ends, batch.bytes, batch.since) == ({0: 5}, 16, 1.5)


@pytest.mark.parametrize("offsets", [[4], [2], [3, 5]])
def test_a_hole_in_a_partition_is_told(offsets: list[int]) -> None:
    messages = [Received(b'{"id": 5}', offset=offset) for offset in offsets]
    with pytest.raises(DependencyError, match="t/0: records 3 to") as raised:
        reader(p0=3).read([messages], 0.0)
    assert raised.value.reason == "RecordsMissing"


def test_records_of_another_generation_are_refused() -> None:
    message = Received(b'{"id": 5}', headers=((wire.GENERATION, b"8"),))
    with pytest.raises(DependencyError, match="generation 8, this job reads generation 7"):
        reader(p0=0).read([[message]], 0.0)


@pytest.mark.parametrize(
    ("partitions", "each"), [(1, MOST), (32, MOST), (64, READ_AHEAD // 64), (1000, LEAST)]
)
def test_what_is_read_ahead_is_divided_among_partitions(partitions: int, each: int) -> None:
    assert fetch_bytes(partitions) == each


def test_a_header_without_a_value_is_a_missing_one() -> None:
    message = Received(headers=((wire.ITEM, b"r/k"), (wire.ORDINAL, b"0"), (wire.VERSION, None)))  # type: ignore[arg-type]
    (refused,) = reader(p0=0).read([[message]], 0.0).rejected
    assert refused.message == "the header 'sluice-version' is missing"
