"""Replays an archive into a records topic: every record with the identity and version it had.

A replay that is run again writes all records again. That turns no row back and doubles none, for
their versions and ids are those of the first time.
"""

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import cramjam

from sluice_api.archive import ArchiveSource
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_workers import wire
from sluice_workers.archive.line import Record, decode_all
from sluice_workers.archive.manifest import (
    BrokenManifestError,
    Entry,
    check,
    merged,
    part_order,
    read_part,
)
from sluice_workers.archive.store import Store
from sluice_workers.producer import Message, Producer
from sluice_workers.settings import KafkaConnection, ReplaySettings

CHUNK: Final = 2000
"""Records that wait for the broker's acknowledgement at the most."""
CHUNK_BYTES: Final = 4 << 20
"""Bytes of their values, likewise."""
PATIENCE: Final = 60.0
"""Seconds for which what does not answer is asked again before the replay fails."""
PAUSE: Final = 1.0
_PASSING: Final = frozenset({"ArchiveUnreachable", "BrokerUnreachable"})
"""Reasons that time may mend."""
T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)


async def replay(folder: Path) -> int:
    """Write the records that are asked for and return their number.

    Raises ``ConfigurationError`` when the archive is not there or not whole, ``DependencyError``
    when the bucket or the broker does not answer.
    """
    settings = ReplaySettings.read(folder, "replay")
    source = settings.archive
    store = Store(source.s3, folder)
    producer = Producer(KafkaConnection.read(folder), settings.compression)
    total = 0
    try:
        async for entry in _objects(store, source, settings.namespace):
            lines = await _lines(store, entry)
            for chunk in chunks(_wanted(decode_all(lines), source)):
                messages = [message(each, settings) for each in chunk]
                await _patient(partial(producer.send, settings.records.name, messages))
                total += len(messages)
            _LOG.info("%d records written, up to %s", total, entry.object)
    finally:
        await producer.close()
    _LOG.info("all %d records written to %s", total, settings.records.name)
    return total


async def _objects(store: Store, source: ArchiveSource, namespace: str) -> AsyncIterator[Entry]:
    """Yield the objects of every partition in their order, if they are whole."""
    job = f"{source.namespace or namespace}/{source.job}"
    runs = await _patient(partial(store.folders, job))
    wanted = [run for run in runs if source.run in {None, run.rpartition("/")[2]}]
    if not wanted:
        found = ", ".join(run.rpartition("/")[2] for run in runs) or "none"
        raise ConfigurationError(
            f"spec.source.archive: there is no run {source.run or 'at all'} of job {job} in bucket"
            f" {source.s3.bucket} below {source.s3.prefix or 'its root'}, found {found}"
        )
    for run in wanted:
        names = await _patient(partial(store.names, f"{run}/manifest/"))
        for parts in by_partition(names, source).values():
            for entry in within(await _entries(store, parts), source):
                yield entry


def by_partition(names: Iterable[str], source: ArchiveSource) -> dict[tuple[int, int], list[str]]:
    """Return the parts of each (generation, partition) that is asked for, all in their order."""
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    ordered = sorted((order, name) for name in names if (order := part_order(name)))
    for (generation, partition, _), name in ordered:
        if not source.partitions or partition in source.partitions:
            found[generation, partition].append(name)
    return found


async def _entries(store: Store, parts: Sequence[str]) -> tuple[Entry, ...]:
    """Read the parts of a partition's manifest. Raises ``ConfigurationError``."""
    entries: tuple[Entry, ...] = ()
    try:
        for name in parts:
            content = await _patient(partial(store.read, name))
            if content is not None:
                entries = merged(entries, read_part(name, content[0]).objects)
        check(entries)
    except BrokenManifestError as error:
        raise ConfigurationError(f"the archive is not whole: {error}") from error
    return entries


def within(entries: Iterable[Entry], source: ArchiveSource) -> Iterator[Entry]:
    """Yield the objects that may hold records of the time that is asked for."""
    since, until = _milliseconds(source.since), _milliseconds(source.until)
    for entry in entries:
        if (since is None or entry.latest >= since) and (until is None or entry.earliest < until):
            yield entry


def _wanted(records: Iterable[Record], source: ArchiveSource) -> Iterator[Record]:
    since, until = _milliseconds(source.since), _milliseconds(source.until)
    for record in records:
        at = record.timestamp
        if (since is None or at >= since) and (until is None or at < until):
            yield record


def _milliseconds(time_given: datetime | None) -> int | None:
    return None if time_given is None else int(time_given.timestamp() * 1000)


async def _lines(store: Store, entry: Entry) -> bytes:
    found = await _patient(partial(store.read, entry.object))
    if found is None:
        raise ConfigurationError(
            f"the archive is not whole: {entry.object} is in the manifest and not in the bucket:"
            " give since, until or partitions to leave it out"
        )
    return await asyncio.to_thread(_unpacked, found[0], entry)


def _unpacked(content: bytes, entry: Entry) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise ConfigurationError(
            f"the archive is not whole: {entry.object} has SHA-256 {digest}, the manifest says"
            f" {entry.sha256}: somebody changed it"
        )
    try:
        return bytes(cramjam.zstd.decompress(content))
    except cramjam.DecompressionError as error:
        raise ConfigurationError(f"{entry.object} cannot be read: {error}") from error


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Group records, so many or so many bytes of them at once."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.value)
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def message(record: Record, settings: ReplaySettings) -> Message:
    """Return a record's message: as it was, but of the generation of the topic it goes to."""
    generation = str(settings.records.generation).encode()
    headers = tuple(
        (name, generation if name == wire.GENERATION else value) for name, value in record.headers
    )
    return Message(record.key, record.value, headers, record.timestamp)


async def _patient(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the bucket or the broker answers; what was sent may come twice, for its versions.

    Raises ``DependencyError`` when that takes too long, and at once when it is no matter of time.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except DependencyError as error:
            if error.reason not in _PASSING or time.monotonic() > deadline:
                raise
            _LOG.warning("%s: %s", error.reason, error)
            await asyncio.sleep(PAUSE)
