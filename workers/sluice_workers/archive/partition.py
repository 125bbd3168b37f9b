"""One partition's place in the archive: its objects, then its manifest, never the other way.

An object is put once. If there is one of its name already, from before a crash or from a member
that was only slow, it is taken as it is: it holds records of this partition from this offset on.
"""

import asyncio
import hashlib
import logging
from typing import Final

import cramjam
from obstore.exceptions import AlreadyExistsError, PreconditionError

from sluice_api.errors import DependencyError
from sluice_workers.archive import line, metrics
from sluice_workers.archive.assembly import Assembly
from sluice_workers.archive.manifest import (
    PART_ENTRIES,
    BrokenManifestError,
    Entry,
    Place,
    merged,
    read_part,
)
from sluice_workers.archive.store import Store

LEVEL: Final = 3
"""zstd's own default."""
TRIES: Final = 5
"""How often a part of the manifest is read again because another member has written it."""
_LOG: Final = logging.getLogger(__name__)


class PartitionArchive:
    """Keeps the objects of one partition. Every method raises ``DependencyError``."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._part: str | None = None
        """The last part of the manifest."""
        self._objects: tuple[Entry, ...] = ()
        """What it lists."""
        self._e_tag: str | None = None

    async def open(self) -> int | None:
        """Read the last part of the manifest; return the offset where the archive ends."""
        parts = await self._store.names(self._place.manifest + "/")
        if not parts:
            return None
        await self._read(parts[-1])
        return self._objects[-1].next if self._objects else None

    async def keep(self, assembly: Assembly) -> int:
        """Keep an object and note it in the manifest; return the offset where the next begins."""
        name = self._place.object(assembly.first)
        content = await asyncio.to_thread(_compressed, assembly.lines)
        if await self._store.create(name, content):
            entry = Entry(
                object=name,
                first=assembly.first,
                next=assembly.next,
                records=assembly.records,
                bytes=len(assembly.lines),
                sha256=_digest(content),
                earliest=assembly.earliest,
                latest=assembly.latest,
            )
            metrics.RECORDS.inc(entry.records)
            metrics.BYTES.labels("lines").inc(entry.bytes)
            metrics.BYTES.labels("object").inc(len(content))
        else:
            entry = await self._existing(name, assembly.first)
            metrics.ADOPTED.inc()
            _LOG.info("%s is there already, up to offset %d", name, entry.next)
        await self._note(entry)
        return entry.next

    async def _existing(self, name: str, first: int) -> Entry:
        found = await self._store.read(name)
        if found is None:
            raise DependencyError(
                "ArchiveChanged", f"the object {name} came and went: trying again"
            )
        try:
            return await asyncio.to_thread(described, name, first, found[0])
        except (cramjam.DecompressionError, ValueError, line.UnreadableLineError) as error:
            raise DependencyError(
                "ArchiveBroken",
                f"the object {name} is in the place of records that are not archived yet, and is"
                f" not one of an archive: {error}: remove it, or choose another s3.prefix",
            ) from error

    async def _note(self, entry: Entry) -> None:
        for _ in range(TRIES):
            objects = merged(self._objects, [entry])
            part = self._part
            if part is None or len(objects) > PART_ENTRIES:
                part, objects = self._place.part(entry.first), (entry,)
            known = self._e_tag if part == self._part else None
            content = self._place.part_of(objects).model_dump_json(by_alias=True).encode()
            try:
                self._e_tag = await self._store.replace(part, content, known)
            except (AlreadyExistsError, PreconditionError):
                await self._read(part)
            else:
                self._part, self._objects = part, objects
                return
        raise DependencyError(
            "ArchiveChanged", f"others write the manifest {self._part} at the same time"
        )

    async def _read(self, part: str) -> None:
        found = await self._store.read(part)
        self._part, self._objects, self._e_tag = part, (), None
        if found is not None:
            content, self._e_tag = found
            try:
                self._objects = read_part(part, content).objects
            except BrokenManifestError as error:
                raise DependencyError("ArchiveBroken", f"{error}: remove it") from error


def described(name: str, first: int, content: bytes) -> Entry:
    """Return the entry of an object by what is in it.

    Raises ``DecompressionError`` when it is not zstd, ``UnreadableLineError`` or ``ValueError``
    when its lines are not records that begin at ``first``.
    """
    lines = bytes(cramjam.zstd.decompress(content))
    found = [(record.offset, record.timestamp) for record in line.decode_all(lines)]
    if not found or found[0][0] < first:
        raise ValueError(f"it does not begin at offset {first}")
    times = [timestamp for _, timestamp in found]
    return Entry(
        object=name,
        first=first,
        next=found[-1][0] + 1,
        records=len(found),
        bytes=len(lines),
        sha256=_digest(content),
        earliest=min(times),
        latest=max(times),
    )


def _compressed(lines: bytearray) -> bytes:
    return bytes(cramjam.zstd.compress(lines, level=LEVEL))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
