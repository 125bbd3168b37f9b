"""Which patches a node gets."""

from pathlib import Path

import pytest
import yaml

from sluice_talos.patches import Shape, node_patches, overlay, shape, shared_patches
from sluice_talos.platform import Role
from sluice_talos.sources import PATCHES
from talos_examples import example

PER_NODE = {
    "data-directory", "data-disk", "hostname", "install-disk",
    "registry-mirror", "time-servers", "virtual-address",
}  # fmt: skip


def test_every_patch_says_why_and_is_used() -> None:
    used = set(PER_NODE)
    for found in Shape:
        names = overlay(found)
        used |= {*names.all, *names.control_plane, *names.worker}
    files = {path.stem for path in PATCHES.glob("*.yaml")}
    assert files == used
    for path in PATCHES.glob("*.yaml"):
        assert path.read_text().startswith("# "), path


@pytest.mark.parametrize(
    ("control_planes", "workers", "found"),
    [(1, 0, Shape.ONE_NODE), (3, 0, Shape.THREE_NODES), (3, 3, Shape.WORKERS)],
)
def test_the_nodes_tell_the_shape(
    tmp_path: Path, control_planes: int, workers: int, found: Shape
) -> None:
    assert shape(example(tmp_path, control_planes, workers)) is found


def test_control_planes_work_only_where_nobody_else_does(tmp_path: Path) -> None:
    for workers, expected in ((0, True), (3, False)):
        platform = example(tmp_path, 3, workers)
        names = [path.stem for path in shared_patches(platform, Role.CONTROL_PLANE)]
        assert ("control-planes-work" in names) is expected
        assert ("cpu-manager" in names) is expected


def test_a_node_gets_its_own_values(tmp_path: Path) -> None:
    platform = example(
        tmp_path,
        3,
        1,
        registries={"docker.io": ["https://a.example.com", "https://b.example.com"]},
        timeServers=["ntp.example.com"],
    )
    patches = {patch.name: patch.documents for patch in node_patches(platform, platform.nodes[0])}
    assert patches["hostname"][0]["hostname"] == "node-1"
    assert patches["virtual-address"][0]["name"] == "10.0.0.9"
    assert patches["time-servers"][0]["ntp"] == {"servers": ["ntp.example.com"]}
    assert patches["registry-mirror"][0]["endpoints"] == [
        {"url": "https://a.example.com"},
        {"url": "https://b.example.com"},
    ]
    assert "disk.size > 64000000000u" in yaml.safe_dump(patches["data-disk"][0], width=200)
    worker = [patch.name for patch in node_patches(platform, platform.nodes[3])]
    assert "virtual-address" not in worker


def test_one_disk_gives_volumes_in_a_directory(tmp_path: Path) -> None:
    platform = example(tmp_path, 1, disks={"install": {"type": "ssd"}})
    names = [patch.name for patch in node_patches(platform, platform.nodes[0])]
    assert "data-directory" in names
    assert "data-disk" not in names
