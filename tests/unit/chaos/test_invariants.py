"""The checker passes what an honest writer leaves, and finds each way of being wrong."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaos.invariants import Applied, Buffered, Evidence, Message, Moved, Stored, judge
from chaos.records import Record, stream
from sluice_api.sink import WriteMode

PARTITIONS = 3
modes = pytest.mark.parametrize("mode", list(WriteMode))
seeds = st.integers(0, 10_000)


def topic(seed: int, items: int) -> list[Message]:
    """What a producer leaves: a key always goes to one partition."""
    ends = [0] * PARTITIONS
    found = []
    for item in islice(stream(seed), items):
        for record in item:
            partition = sum(record.key.encode()) % PARTITIONS
            found.append(Message(partition, ends[partition], record))
            ends[partition] += 1
    return found


class Honest:
    """A writer as it should be, in memory."""

    def __init__(self, mode: WriteMode, messages: Sequence[Message]) -> None:
        self.mode = mode
        self.messages = messages
        self.table: dict[object, Record] = {}
        self.applied: list[Applied] = []
        self.moved: list[Moved] = []
        self.offsets = dict.fromkeys(range(PARTITIONS), 0)

    def commit(self, transaction: int, partition: int, size: int) -> None:
        first = self.offsets[partition]
        batch = [
            message.record
            for message in self.messages
            if message.partition == partition and first <= message.offset < first + size
        ]
        self.merge(transaction, batch)
        self.offsets[partition] = first + len(batch)
        if batch:
            self.moved.append(Moved(transaction, partition, first, first + len(batch), 1))

    def merge(self, transaction: int, batch: Sequence[Record]) -> None:
        newest = {self.place(r): r for r in sorted(batch, key=lambda r: r.version) if not r.bad}
        for place, record in newest.items():
            known = self.table.get(place)
            if known is None or (self.mode is WriteMode.UPSERT and known.version <= record.version):
                self.table[place] = record
                self.applied.append(Applied(transaction, record.id))

    def place(self, record: Record) -> object:
        return record.row if self.mode is WriteMode.UPSERT else record.id

    def evidence(self) -> Evidence:
        return Evidence(
            mode=self.mode,
            messages=self.messages,
            stored=[Stored(r.row, r.id, r.number) for r in self.table.values()],
            applied=self.applied,
            moved=self.moved,
            offsets=self.offsets,
            dead=frozenset(m.record.item for m in self.messages if m.record.bad),
        )


def written(mode: WriteMode, seed: int, items: int = 60) -> Evidence:
    """All of a topic, written in batches of any size, the partitions in any order."""
    writer, chance = Honest(mode, topic(seed, items)), random.Random(seed)
    for transaction in range(1, 20):
        writer.commit(transaction, chance.randrange(PARTITIONS), chance.randrange(1, 12))
    for partition in range(PARTITIONS):
        writer.commit(100 + partition, partition, len(writer.messages))
    return writer.evidence()


@modes
@given(seed=seeds)
def test_an_honest_writer_is_right(mode: WriteMode, seed: int) -> None:
    assert judge(written(mode, seed)).by_name() == {name: [] for name in NAMES}


NAMES = ("lost", "doubled", "stale", "reordered", "foreign", "stuck")


def violated(evidence: Evidence) -> set[str]:
    return {name for name, found in judge(evidence).by_name().items() if found}


@modes
@given(seed=seeds, which=st.integers(0))
def test_a_missing_row_is_lost(mode: WriteMode, seed: int, which: int) -> None:
    found = written(mode, seed)
    stored = list(found.stored)
    del stored[which % len(stored)]
    assert violated(replace(found, stored=stored)) == {"lost"}


@modes
def test_a_refused_record_that_is_not_dead_is_lost(mode: WriteMode) -> None:
    found = written(mode, seed=1, items=1000)
    assert found.dead
    assert violated(replace(found, dead=frozenset())) == {"lost"}


@modes
@given(seed=seeds, which=st.integers(0))
def test_a_skipped_range_is_lost(mode: WriteMode, seed: int, which: int) -> None:
    found = written(mode, seed)
    moved = list(found.moved)
    del moved[which % len(moved)]
    assert "lost" in violated(replace(found, moved=moved))


@modes
@given(seed=seeds, partition=st.integers(0, PARTITIONS - 1))
def test_an_offset_beyond_the_end_is_lost(mode: WriteMode, seed: int, partition: int) -> None:
    found = written(mode, seed)
    offsets = {**found.offsets, partition: found.offsets[partition] + 1}
    assert violated(replace(found, offsets=offsets)) == {"lost"}


@modes
@given(seed=seeds, which=st.integers(0))
def test_a_row_that_is_there_twice_is_doubled(mode: WriteMode, seed: int, which: int) -> None:
    found = written(mode, seed)
    again = found.stored[which % len(found.stored)]
    assert violated(replace(found, stored=[*found.stored, again])) == {"doubled"}


@modes
@given(seed=seeds, which=st.integers(0))
def test_a_batch_that_is_committed_twice_is_doubled(mode: WriteMode, seed: int, which: int) -> None:
    found = written(mode, seed)
    once = found.moved[which % len(found.moved)]
    again = replace(once, transaction=999)
    assert "doubled" in violated(replace(found, moved=[*found.moved, again]))


@modes
@given(seed=seeds, which=st.integers(0))
def test_rows_without_their_offsets_are_doubled(mode: WriteMode, seed: int, which: int) -> None:
    """A former owner whose rows were committed although it was fenced."""
    found = written(mode, seed)
    zombie = replace(found.applied[which % len(found.applied)], transaction=999)
    assert "doubled" in violated(replace(found, applied=[*found.applied, zombie]))


@given(seed=seeds, which=st.integers(0))
def test_an_older_record_in_a_row_is_stale(seed: int, which: int) -> None:
    found = written(WriteMode.UPSERT, seed)
    records = {message.record.id: message.record for message in found.messages}
    stored = list(found.stored)
    older = [
        (place, record)
        for place, row in enumerate(stored)
        for record in records.values()
        if record.row == row.row and not record.bad and record.version < records[row.record].version
    ]
    assume(older)
    place, record = older[which % len(older)]
    stored[place] = Stored(record.row, record.id, record.number)
    assert violated(replace(found, stored=stored)) == {"stale"}


@given(seed=seeds)
def test_a_row_that_went_back_on_the_way_is_reordered(seed: int) -> None:
    found = written(WriteMode.UPSERT, seed)
    records = {message.record.id: message.record for message in found.messages}
    applied = list(found.applied)
    for later, second in enumerate(applied):
        for earlier, first in enumerate(applied[:later]):
            one, two = records[first.record], records[second.record]
            if one.row == two.row and one.version < two.version:
                applied[earlier], applied[later] = second, first
                assert "reordered" in violated(replace(found, applied=applied))
                return


@given(seed=seeds)
def test_a_key_whose_records_were_written_in_another_order_is_reordered(seed: int) -> None:
    """Rows of Append have no version: the order of the commits tells."""
    found = written(WriteMode.APPEND, seed)
    keys = {message.record.id: message.record.key for message in found.messages}
    parts = {(keys[each.record], each.transaction) for each in found.applied}
    assume(len(parts) > len({key for key, _ in parts}))
    backwards = replace(found, applied=found.applied[::-1], moved=found.moved[::-1])
    assert "reordered" in violated(replace(found, applied=found.applied[::-1]))
    assert {"lost", "doubled", "reordered"} <= violated(backwards)


@modes
@given(seed=seeds)
def test_a_commit_of_a_fenced_writer_is_reordered(mode: WriteMode, seed: int) -> None:
    found = written(mode, seed)
    moved = [replace(move, epoch=2 if index == 0 else 1) for index, move in enumerate(found.moved)]
    assume(any(move.partition == moved[0].partition for move in moved[1:]))
    assert violated(replace(found, moved=moved)) == {"reordered"}


@modes
@given(seed=seeds)
def test_a_row_that_nobody_produced_is_foreign(mode: WriteMode, seed: int) -> None:
    found = written(mode, seed)
    other = Stored(9999, "run/9999#0", 1)
    assert violated(replace(found, stored=[*found.stored, other])) == {"foreign"}


@modes
@given(seed=seeds, which=st.integers(0))
def test_a_row_with_the_wrong_payload_is_foreign(mode: WriteMode, seed: int, which: int) -> None:
    found = written(mode, seed)
    stored = list(found.stored)
    place = which % len(stored)
    stored[place] = replace(stored[place], number=-1)
    assert "foreign" in violated(replace(found, stored=stored))


@modes
@given(seed=seeds)
def test_what_is_not_written_yet_is_late_and_not_lost(mode: WriteMode, seed: int) -> None:
    writer = Honest(mode, topic(seed, items=60))
    writer.commit(1, 0, 5)
    assert violated(writer.evidence()) == {"stuck"}


def buffered(seed: int) -> Evidence:
    """All of a topic, appended in batches of any size and merged by other transactions."""
    found, appender = written(WriteMode.UPSERT, seed), Honest(WriteMode.UPSERT, topic(seed, 60))
    chance = random.Random(seed + 1)
    for transaction in range(500, 520):
        appender.commit(transaction, chance.randrange(PARTITIONS), chance.randrange(1, 12))
    for partition in range(PARTITIONS):
        appender.commit(600 + partition, partition, len(appender.messages))
    return replace(found, buffer=Buffered(appender.moved, appender.moved, appender.offsets))


def in_buffer(found: Evidence) -> Buffered:
    assert found.buffer is not None
    return found.buffer


@given(seed=seeds)
def test_an_honest_buffer_is_right(seed: int) -> None:
    assert judge(buffered(seed)).by_name() == {name: [] for name in NAMES}


@given(seed=seeds, which=st.integers(0))
def test_offsets_that_moved_without_their_chunk_are_lost(seed: int, which: int) -> None:
    found = buffered(seed)
    chunks = list(in_buffer(found).appended)
    del chunks[which % len(chunks)]
    assert violated(replace(found, buffer=replace(in_buffer(found), appended=chunks))) == {"lost"}


@given(seed=seeds, which=st.integers(0), transaction=st.booleans())
def test_a_chunk_that_was_appended_twice_is_doubled(
    seed: int, which: int, transaction: bool
) -> None:
    """By the transaction that moved the offsets, or by a fenced one."""
    found = buffered(seed)
    chunks = in_buffer(found).appended
    again = chunks[which % len(chunks)]
    again = again if transaction else replace(again, transaction=999)
    changed = replace(in_buffer(found), appended=[*chunks, again])
    assert violated(replace(found, buffer=changed)) == {"doubled"}


@given(seed=seeds, which=st.integers(0))
def test_a_chunk_that_was_merged_twice_is_doubled(seed: int, which: int) -> None:
    found = buffered(seed)
    again = replace(found.moved[which % len(found.moved)], transaction=999)
    assert violated(replace(found, moved=[*found.moved, again])) == {"doubled"}


@given(seed=seeds, partition=st.integers(0, PARTITIONS - 1))
def test_what_is_left_in_the_buffer_is_stuck(seed: int, partition: int) -> None:
    found = buffered(seed)
    moved = [each for each in found.moved if each.partition != partition]
    applied = [a for a in found.applied if a.transaction in {each.transaction for each in moved}]
    left = replace(found, moved=moved, applied=applied, offsets={**found.offsets, partition: 0})
    assume(any(each.partition == partition for each in found.messages))
    assert violated(left) == {"stuck"}
