"""The names of objects, and the manifest that tells what is in them; pure.

    <prefix>/<namespace>/<job>/<run>/
      records/<generation>/<partition>/<first offset>.ndjson.zst
      manifest/<generation>/<partition>/<first offset of its first object>.json

A run's manifest is in parts, so that no part is written by two and none grows without end. The
objects of a partition join without a gap: each begins at the offset where the one before it ends.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pydantic import ValidationError

from sluice_api.errors import SluiceError
from sluice_api.model import Model
from sluice_api.names import JobName

PART_ENTRIES: Final = 1000
"""Objects that one part of a manifest lists at the most."""
_PART: Final = re.compile(r"manifest/([0-9]+)/([0-9]+)/([0-9]+)\.json$")


class BrokenManifestError(SluiceError):
    """A manifest cannot be read, or tells of a gap."""


class Entry(Model):
    """One object: the records of a partition from ``first`` to before ``next``."""

    object: str
    """Its name, below the prefix."""
    first: int
    """The offset where it begins."""
    next: int
    """The offset where the next object begins."""
    records: int
    """How many lines it has."""
    bytes: int
    """Its length before compression."""
    sha256: str
    """Of the compressed bytes, in hexadecimal."""
    earliest: int
    """The least timestamp of its records, epoch milliseconds."""
    latest: int
    """The greatest."""


class Part(Model):
    """A part of a run's manifest: objects of one partition, in their order."""

    job: str
    """namespace/name"""
    run: str
    topic: str
    generation: int
    """The topic's generation."""
    partition: int
    objects: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A partition's place in an archive."""

    job: JobName
    run: str
    topic: str
    generation: int
    partition: int

    def _folder(self, kind: str) -> str:
        job = f"{self.job.namespace}/{self.job.name}"
        return f"{job}/{self.run}/{kind}/{self.generation}/{self.partition:05d}"

    @property
    def manifest(self) -> str:
        """The folder of the manifest's parts."""
        return self._folder("manifest")

    def part(self, first: int) -> str:
        """The name of the part that begins with the object of that offset."""
        return f"{self.manifest}/{first:020d}.json"

    def object(self, first: int) -> str:
        """The name of the object that begins at that offset."""
        return f"{self._folder('records')}/{first:020d}.ndjson.zst"

    def part_of(self, objects: Sequence[Entry]) -> Part:
        """A part with these objects."""
        return Part(
            job=str(self.job),
            run=self.run,
            topic=self.topic,
            generation=self.generation,
            partition=self.partition,
            objects=tuple(objects),
        )


def read_part(name: str, content: bytes) -> Part:
    """Read a part. Raises ``BrokenManifestError``."""
    try:
        return Part.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise BrokenManifestError(
            f"the manifest {name} cannot be read: {where}: {first['msg']}"
        ) from error


def part_order(name: str) -> tuple[int, int, int] | None:
    """Return generation, partition and first offset of a part by its name; None for others."""
    found = _PART.search(name)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def merged(known: Iterable[Entry], new: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries of both, in their order; of two that begin alike, the new one."""
    found = {entry.first: entry for entry in (*known, *new)}
    return tuple(found[first] for first in sorted(found))


def check(entries: Sequence[Entry]) -> None:
    """Make sure that objects join without gap or overlap. Raises ``BrokenManifestError``."""
    for before, after in pairwise(entries):
        if after.first != before.next:
            kind = "a gap" if after.first > before.next else "an overlap"
            raise BrokenManifestError(
                f"{kind} between {before.object}, which ends before offset {before.next}, and"
                f" {after.object}, which begins at {after.first}"
            )
