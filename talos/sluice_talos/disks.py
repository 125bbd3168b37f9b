"""Disks: how a person chooses one, and whether a node has what was chosen."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, model_validator

from sluice_api.model import Model

_SIZE: Final = re.compile(r"(>=|<=|==|>|<)\s*([0-9]+(?:\.[0-9]+)?)\s*([kMGTP]i?B)")
_UNITS: Final = {
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "kiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50,
}  # fmt: skip


def _size(text: str) -> str:
    found = _SIZE.fullmatch(text)
    if found is None or Decimal(found[2]) * _UNITS[found[3]] >= 2**63:
        raise ValueError(
            f'must be a comparison with a size, such as ">= 20GB" or "< 1TiB", found {text!r}'
        )
    return text


def _pattern(text: str) -> str:
    if not text:
        raise ValueError("must be what the disk tells, or a pattern such as QEMU*, found nothing")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class DiskType(StrEnum):
    """What kind of disk, as Talos tells them apart."""

    SSD = "ssd"
    HDD = "hdd"
    NVME = "nvme"
    SD = "sd"


@dataclass(frozen=True)
class Disk:
    """A disk that a node has; ``size`` is in bytes."""

    name: str
    size: int
    transport: str = ""
    rotational: bool = False
    readonly: bool = False
    cdrom: bool = False
    model: str = ""
    serial: str = ""
    wwid: str = ""
    bus_path: str = ""

    def __str__(self) -> str:
        """Name, size, and whatever tells it from the others."""
        parts = [self.transport, self.model, f"serial {self.serial}" if self.serial else ""]
        return " ".join([f"{self.name} ({self.size / 10**9:.1f} GB", *filter(None, parts)]) + ")"


class Selector(Model):
    """What a disk must be like; everything that is given must hold. Patterns may hold ``*``."""

    size: Annotated[str, AfterValidator(_size)] | None = None
    type: DiskType | None = None
    model: Pattern | None = None
    serial: Pattern | None = None
    wwid: Pattern | None = None
    bus_path: Pattern | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("must say size, type, model, serial, wwid or busPath")
        return self

    @property
    def limit(self) -> tuple[str, int] | None:
        """The comparison with a size: its operator, and bytes."""
        found = _SIZE.fullmatch(self.size or "")
        if found is None:
            return None
        return found[1], int(Decimal(found[2]) * _UNITS[found[3]])

    def selects(self, disk: Disk) -> bool:
        """Tell whether Talos would take this disk for the selector (as its 1.13 does)."""
        usable = bool(disk.transport) and not disk.readonly and not disk.cdrom
        patterns = (
            (self.model, disk.model),
            (self.serial, disk.serial),
            (self.wwid, disk.wwid),
            (self.bus_path, disk.bus_path),
        )
        alike = all(fnmatchcase(value, pattern) for pattern, value in patterns if pattern)
        return usable and alike and self._fits(disk.size) and self._is(disk)

    def _fits(self, size: int) -> bool:
        if self.limit is None:
            return True
        operator, bound = self.limit
        return {
            ">=": size >= bound,
            "<=": size <= bound,
            "==": size == bound,
            ">": size > bound,
            "<": size < bound,
        }[operator]

    def _is(self, disk: Disk) -> bool:
        return {
            None: True,
            DiskType.SSD: not disk.rotational,
            DiskType.HDD: disk.rotational,
            DiskType.NVME: disk.transport == "nvme",
            DiskType.SD: disk.transport == "mmc",
        }[self.type]

    def install_selector(self) -> dict[str, str]:
        """The selector as ``machine.install.diskSelector`` of Talos 1.13 wants it."""
        found = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        if self.limit:
            found["size"] = f"{self.limit[0]} {self.limit[1]}B"
        return found

    def expression(self) -> str:
        """The selector as a CEL expression for a volume, which is never the system disk."""
        return " && ".join(["!system_disk", "!disk.readonly", "!disk.cdrom", *self._terms()])

    def _terms(self) -> Iterator[str]:
        if self.limit:
            yield f"disk.size {self.limit[0]} {self.limit[1]}u"
        kinds = {
            DiskType.SSD: "!disk.rotational",
            DiskType.HDD: "disk.rotational",
            DiskType.NVME: 'disk.transport == "nvme"',
            DiskType.SD: 'disk.transport == "mmc"',
        }
        if self.type:
            yield kinds[self.type]
        patterns = {
            "model": self.model,
            "serial": self.serial,
            "wwid": self.wwid,
            "bus_path": self.bus_path,
        }
        for field, pattern in patterns.items():
            if pattern:
                yield f"glob({json.dumps(pattern)}, disk.{field})"


def read_disks(output: str) -> tuple[Disk, ...]:
    """Read what ``talosctl get disks -o json`` printed: JSON objects, one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        item, end = decoder.raw_decode(rest)
        found.append(_disk(item))
        rest = rest[end:].lstrip()
    return tuple(found)


def _disk(item: Mapping[str, Any]) -> Disk:
    spec = item["spec"]
    return Disk(
        name=spec.get("dev_path") or f"/dev/{item['metadata']['id']}",
        size=int(spec["size"]),
        transport=spec.get("transport", ""),
        rotational=spec.get("rotational", False),
        readonly=spec.get("readonly", False),
        cdrom=spec.get("cdrom", False),
        model=spec.get("model", ""),
        serial=spec.get("serial", ""),
        wwid=spec.get("wwid", ""),
        bus_path=spec.get("bus_path", ""),
    )


def disk_fault(disks: Sequence[Disk], install: Selector, data: Selector | None) -> str | None:
    """Say why a node's disks do not fit what was chosen, or None when they do.

    One disk must fit each: which of several Talos takes depends on the order it finds them in.
    """
    system = [disk for disk in disks if install.selects(disk)]
    if len(system) != 1:
        return _fault("disks.install", system, disks)
    if data is None:
        return None
    others = [disk for disk in disks if disk is not system[0] and data.selects(disk)]
    return None if len(others) == 1 else _fault("disks.data", others, disks)


def _fault(field: str, fitting: Sequence[Disk], disks: Sequence[Disk]) -> str:
    if fitting:
        names = ", ".join(map(str, fitting))
        return f"{field} fits several disks: {names}; add serial, wwid or busPath to choose one"
    names = ", ".join(str(disk) for disk in disks if not disk.cdrom) or "none"
    return f"{field} fits no disk of the node; it has: {names}"
