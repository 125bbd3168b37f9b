"""Clusters' places on a machine, and what they are built from."""

import re
import tarfile
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_dev.artifacts import artifact, digest
from sluice_dev.errors import ClusterError
from sluice_dev.layout import SLOTS, Layout, check_name, free_slot
from sluice_dev.oci import ImageConfig, write_image, write_layer
from sluice_dev.paths import DEV, versions
from sluice_dev.progress import Progress


@given(st.integers(0, SLOTS - 1), st.integers(0, SLOTS - 1))
def test_the_networks_of_two_clusters_never_overlap(one: int, other: int) -> None:
    a, b = Layout("a", one, Path("/a")), Layout("b", other, Path("/b"))
    overlap = [
        ip_network(x).overlaps(ip_network(y))
        for x in (a.pod_network, a.service_network, f"{a.node_address}/32")
        for y in (b.pod_network, b.service_network, f"{b.node_address}/32")
    ]
    assert any(overlap) == (one == other)


@pytest.mark.parametrize("name", ["", "Dev", "a b", "-a", "a" * 13, "ä", "a/b"])
def test_a_name_that_cannot_be_an_interfaces_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="a cluster's name has"):
        check_name(name)


@given(st.sets(st.integers(0, SLOTS - 1), max_size=SLOTS - 1))
def test_the_lowest_free_slot_is_taken(taken: set[int]) -> None:
    slot = free_slot(taken)
    assert slot not in taken
    assert set(range(slot)) <= taken


def test_a_full_machine_is_told() -> None:
    with pytest.raises(ClusterError, match="dev/cluster down --all"):
        free_slot(set(range(SLOTS)))


def test_a_digest_changes_with_every_part(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("one")
    before = digest(["a", b"b", file])
    assert digest(["ab", b"", file]) != before
    file.write_text("two")
    assert digest(["a", b"b", file]) != before


def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path))

    def interrupted(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    def whole(folder: Path) -> None:
        (folder / "whole").touch()

    with pytest.raises(KeyboardInterrupt):
        artifact("thing", ["1"], interrupted, Progress())
    assert [path for path in (tmp_path / "artifacts").iterdir() if path.is_dir()] == []
    found = artifact("thing", ["1"], whole, Progress())
    assert [path.name for path in found.iterdir()] == ["whole"]
    assert artifact("thing", ["1"], interrupted, Progress()) == found


def test_of_artifacts_that_change_often_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path))
    for number in range(4):
        last = artifact("thing", [str(number)], Path.exists, Progress(), keep=2)
    left = [path for path in (tmp_path / "artifacts").iterdir() if path.is_dir()]
    assert len(left) == 2
    assert last in left


def test_the_same_content_is_the_same_image(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    images = []
    for name in ("a", "b"):
        layer, image = tmp_path / f"{name}.layer", tmp_path / f"{name}.tar"
        write_layer(layer, {"opt/tree": tmp_path / "tree", "bin/run": b"#!/bin/sh\n"})
        write_image(image, "localhost/x:1", [layer], ImageConfig(entrypoint=("run",)))
        images.append(image.read_bytes())
    assert images[0] == images[1]
    with tarfile.open(tmp_path / "a.layer") as tar:
        assert tar.getmember("bin/run").mode == 0o755
        assert tar.getmember("opt/tree/file").uid == 0


@pytest.mark.parametrize(
    ("folder", "module"), [("kubernetes", "k8s.io/kubernetes"), ("coredns", r"\S+/coredns")]
)
def test_the_pinned_versions_are_those_of_the_modules(folder: str, module: str) -> None:
    text = (DEV / folder / "go.mod").read_text()
    found = re.search(rf"^(?:require)?\s*{module} v(\S+)", text, re.MULTILINE)
    assert found is not None
    assert found[1] == versions()[folder]["version"]
