"""Disks are chosen here as Talos chooses them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_talos.disks import Disk, Selector, disk_fault, read_disks

SYSTEM = Disk("/dev/vda", 20 * 10**9, "virtio", serial="A1")
DATA = Disk("/dev/vdb", 200 * 10**9, "virtio", rotational=True)
CDROM = Disk("/dev/sr0", 10**9, "ata", cdrom=True, readonly=True)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"size": "<= 64GB"}, [SYSTEM]),
        ({"size": "> 64GB"}, [DATA]),
        ({"size": "== 20GB"}, [SYSTEM]),
        ({"size": ">= 1GiB"}, [SYSTEM, DATA]),
        ({"type": "hdd"}, [DATA]),
        ({"type": "ssd"}, [SYSTEM]),
        ({"type": "nvme"}, []),
        ({"serial": "A*"}, [SYSTEM]),
        ({"type": "ssd", "serial": "B*"}, []),
    ],
)
def test_a_selector_chooses(selector: dict[str, str], chosen: list[Disk]) -> None:
    found = Selector.model_validate(selector)
    assert [disk for disk in (SYSTEM, DATA, CDROM) if found.selects(disk)] == chosen


@given(st.integers(0, 2**42), st.sampled_from(["<", "<=", "==", ">=", ">"]))
def test_a_comparison_holds_as_written(size: int, operator: str) -> None:
    bound = 10**9
    selects = Selector(size=f"{operator} 1GB").selects(Disk("/dev/vda", size, "virtio"))
    assert selects == {
        "<": size < bound, "<=": size <= bound, "==": size == bound,
        ">=": size >= bound, ">": size > bound,
    }[operator]  # fmt: skip


def test_talos_gets_bytes() -> None:
    found = Selector(size="<= 1.5GiB", type="nvme", model='Big "one"*')  # type: ignore[arg-type]
    assert found.install_selector() == {
        "size": "<= 1610612736B", "type": "nvme", "model": 'Big "one"*',
    }  # fmt: skip
    assert found.expression() == (
        "!system_disk && !disk.readonly && !disk.cdrom && disk.size <= 1610612736u"
        ' && disk.transport == "nvme" && glob("Big \\"one\\"*", disk.model)'
    )


def test_one_disk_must_fit_each() -> None:
    install, data = Selector(size="<= 64GB"), Selector(size="> 64GB")
    assert disk_fault([SYSTEM, DATA, CDROM], install, data) is None
    assert disk_fault([SYSTEM], install, None) is None
    assert disk_fault([DATA, CDROM], install, data) == (
        "disks.install fits no disk of the node; it has: /dev/vdb (200.0 GB virtio)"
    )
    assert "disks.data fits no disk" in str(disk_fault([SYSTEM], install, data))
    assert "disks.install fits several disks: /dev/vda (20.0 GB virtio serial A1), /dev/vdb" in str(
        disk_fault([SYSTEM, DATA], Selector(size="> 1GB"), None)
    )


def test_what_talosctl_prints_is_read() -> None:
    printed = """{"metadata": {"id": "sda"}, "node": "", "spec": {"size": 5, "transport": "ata"}}
{"metadata": {"id": "vdb"}, "spec": {"dev_path": "/dev/vdb", "size": 7, "cdrom": true}}
"""
    assert read_disks(printed) == (
        Disk("/dev/sda", 5, "ata"),
        Disk("/dev/vdb", 7, cdrom=True),
    )
    assert read_disks("") == ()
