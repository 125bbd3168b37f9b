"""What must hold whatever happened: a pure function of what was produced and what is found.

The table and the offsets tell the end; two histories, kept by triggers inside the writers' own
transactions, tell the way there: every row that was written, and every move of an offset.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chaos.records import Record
from chaos.verdict import Verdict
from sluice_api.sink import WriteMode


@dataclass(frozen=True, slots=True)
class Message:
    """A record in the topic."""

    partition: int
    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the table."""

    row: int
    record: str
    """The id of the record that it was made from."""
    number: int
    """That record's payload."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A row was written, by a transaction that was committed."""

    transaction: int
    record: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The offset of a partition went from ``first`` to ``next``, by a committed transaction."""

    transaction: int
    partition: int
    first: int
    next: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Buffered:
    """The way into a durable buffer. Histories are in the order of the commits."""

    moved: Sequence[Moved]
    """The moves of the offsets."""
    appended: Sequence[Moved]
    """The chunks that were appended; their epoch says nothing."""
    offsets: Mapping[int, int]
    """The next offset of each partition that was ever claimed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end, about one job. Histories are in the order of the commits."""

    mode: WriteMode
    messages: Sequence[Message]
    stored: Sequence[Stored]
    applied: Sequence[Applied]
    moved: Sequence[Moved]
    offsets: Mapping[int, int]
    """How far each partition that was ever claimed is in the table."""
    dead: frozenset[str]
    """The ids of the items in the dead topic."""
    buffer: Buffered | None = None
    """What is known about the job's durable buffer, if it has one: then ``moved`` and ``offsets``
    tell of merges, each chunk a move by itself."""


@dataclass(slots=True)
class Wrong(Verdict):
    """What is wrong with a job."""

    lost: list[str] = field(default_factory=list)
    """Records that were passed and are nowhere."""
    doubled: list[str] = field(default_factory=list)
    """Records that were written twice, or besides the transaction that passes them."""
    stale: list[str] = field(default_factory=list)
    """Rows that an older record holds although a newer one was passed."""
    reordered: list[str] = field(default_factory=list)
    """Rows that were turned back on the way, and commits of a writer that had been fenced."""
    foreign: list[str] = field(default_factory=list)
    """Rows that nobody produced."""
    stuck: list[str] = field(default_factory=list)
    """Partitions that were not written to their end."""

    def add(self, other: "Wrong") -> None:
        """Take over what another job's verdict holds."""
        for name, found in other.by_name().items():
            getattr(self, name).extend(found)


def judge(evidence: Evidence) -> Wrong:
    """Compare what was produced with what is found.

    Safety is judged up to the offsets in the database: records behind them are not lost but late,
    and whoever is late at the end is stuck.
    """
    verdict = Wrong()
    _judge_offsets(evidence, verdict)
    _judge_rows(evidence, verdict)
    _judge_writes(evidence, verdict)
    if evidence.buffer is not None:
        _judge_buffer(evidence, evidence.buffer, verdict)
    return verdict


def _judge_buffer(evidence: Evidence, buffer: Buffered, verdict: Wrong) -> None:
    """The offsets move on as without a buffer, each over what its transaction appended."""
    _judge_offsets(replace(evidence, moved=buffer.moved, offsets=buffer.offsets), verdict)
    chunks: dict[tuple[int, int], list[Moved]] = defaultdict(list)
    for chunk in buffer.appended:
        chunks[chunk.transaction, chunk.partition].append(chunk)
    for move in buffer.moved:
        at = move.first
        for chunk in chunks.pop((move.transaction, move.partition), ()):
            if chunk.first < at:
                verdict.doubled.append(f"a chunk from {chunk.first} of {move}")
            elif chunk.first > at:
                verdict.lost.append(f"{at} to {chunk.first} of {move} were not appended")
            at = max(at, chunk.next)
        if at < move.next:
            verdict.lost.append(f"{at} to {move.next} of {move} were not appended")
        if at > move.next:
            verdict.doubled.append(f"{move.next} to {at} were appended by {move}")
    verdict.doubled += [
        f"{chunk} was appended by another transaction than its"
        for found in chunks.values()
        for chunk in found
    ]


def _passed(evidence: Evidence) -> list[Message]:
    return [
        message
        for message in evidence.messages
        if message.offset < evidence.offsets.get(message.partition, 0)
    ]


def _ends(messages: Iterable[Message]) -> dict[int, int]:
    found: dict[int, int] = {}
    for message in messages:
        found[message.partition] = max(found.get(message.partition, 0), message.offset + 1)
    return found


def _judge_offsets(evidence: Evidence, verdict: Wrong) -> None:
    """The moves of a partition form one chain, from its start to where its offset is."""
    at: dict[int, int] = defaultdict(int)
    epochs: dict[int, int] = defaultdict(int)
    for move in evidence.moved:
        place = f"partition {move.partition}, {move.first} to {move.next}"
        if move.first > at[move.partition]:
            verdict.lost.append(f"{place}: it was at {at[move.partition]}, nothing is between")
        if move.first < at[move.partition]:
            verdict.doubled.append(f"{place}: it was at {at[move.partition]} already")
        if move.epoch < epochs[move.partition]:
            verdict.reordered.append(f"{place}: by epoch {move.epoch}, after a successor's commit")
        at[move.partition] = max(at[move.partition], move.next)
        epochs[move.partition] = max(epochs[move.partition], move.epoch)
    ends = _ends(evidence.messages)
    for partition in sorted(ends.keys() | evidence.offsets.keys()):
        end, offset = ends.get(partition, 0), evidence.offsets.get(partition, 0)
        if offset < end:
            verdict.stuck.append(f"partition {partition} is at {offset}, its end is {end}")
        if offset > end or offset != at[partition]:
            verdict.lost.append(
                f"partition {partition} is at {offset}, moved to {at[partition]}, its end is {end}"
            )


def _judge_rows(evidence: Evidence, verdict: Wrong) -> None:
    """Each passed record is where it belongs: in its row, in a newer one's shadow, or dead."""
    known = {message.record.id: message.record for message in evidence.messages}
    passed = {message.record.id: message.record for message in _passed(evidence)}
    verdict.lost += [
        f"the refused record {record.id} is not in the dead topic"
        for record in passed.values()
        if record.bad and record.item not in evidence.dead
    ]
    wanted = {_place(evidence, record): record for record in _newest(passed.values())}
    seen: Counter[object] = Counter()
    for stored in evidence.stored:
        record = known.get(stored.record)
        if record is None or (record.row, record.number) != (stored.row, stored.number):
            verdict.foreign.append(f"row {stored.row} holds {stored.record}, {stored.number}")
            continue
        place = _place(evidence, record)
        seen[place] += 1
        newest = wanted.get(place)
        if newest is not None and record.version < newest.version:
            verdict.stale.append(f"row {stored.row} holds {record.id}, the newest is {newest.id}")
    verdict.lost += [f"{wanted[place].id} is in no row" for place in wanted.keys() - seen.keys()]
    verdict.doubled += [f"{count} rows of {place}" for place, count in seen.items() if count > 1]


def _place(evidence: Evidence, record: Record) -> object:
    """Return what a row is one of: its key when rows are upserted, else the record's id."""
    return record.row if evidence.mode is WriteMode.UPSERT else record.id


def _newest(records: Iterable[Record]) -> list[Record]:
    """Return the records that can be in a table, the newest of a row last."""
    return sorted((each for each in records if not each.bad), key=lambda each: each.version)


def _judge_writes(evidence: Evidence, verdict: Wrong) -> None:
    """A row is written by the transaction that passes its record, and never turned back."""
    places: dict[str, list[Message]] = defaultdict(list)
    for message in evidence.messages:
        places[message.record.id].append(message)
    moves: dict[int, list[Moved]] = defaultdict(list)
    for move in evidence.moved:
        moves[move.transaction].append(move)
    order = _Order(evidence.mode, verdict.reordered)
    for applied in evidence.applied:
        found = places.get(applied.record)
        if found is None:
            verdict.foreign.append(f"a row was written from {applied.record}, which is not there")
            continue
        covered = [place.offset for place in found if _covers(moves[applied.transaction], place)]
        if not covered:
            verdict.doubled.append(f"{applied.record} was written by another transaction than its")
        order.check(applied.transaction, found[0].record, max(covered, default=found[0].offset))


def _covers(moves: Sequence[Moved], place: Message) -> bool:
    return any(
        move.partition == place.partition and move.first <= place.offset < move.next
        for move in moves
    )


class _Order:
    """The order of writes: of a row by version, of a key's records by their places in the topic."""

    def __init__(self, mode: WriteMode, reordered: list[str]) -> None:
        self._rows_are_shared = mode is WriteMode.UPSERT
        self._reordered = reordered
        self._newest: dict[int, int] = {}
        self._furthest: dict[str, tuple[int, int, int]] = {}
        """Of each key: the last transaction, how far the ones before it were, and how far it is."""

    def check(self, transaction: int, record: Record, offset: int) -> None:
        """Take the next write; within a transaction a key's records have no order."""
        newest = self._newest.get(record.row, record.version)
        if self._rows_are_shared and record.version < newest:
            self._reordered.append(f"row {record.row} went back to {record.id}")
        self._newest[record.row] = max(newest, record.version)
        last, before, at = self._furthest.get(record.key, (transaction, -1, -1))
        if transaction != last:
            before, at = max(before, at), -1
        if offset <= before:
            self._reordered.append(f"{record.id}, at {offset} of {record.key}, after {before}")
        self._furthest[record.key] = (transaction, before, max(at, offset))
