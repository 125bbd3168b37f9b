"""Machine configurations, made and checked by the real talosctl; no node is needed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_api.errors import ConfigurationError
from sluice_talos import configs
from sluice_talos.folder import Folder, folder_of, prepare
from sluice_talos.patches import Shape, shape
from sluice_talos.platform import Platform, Role
from sluice_talos.progress import Progress
from sluice_talos.site import Site
from sluice_talos.talosctl import Program
from talos_examples import example

SHAPES = {Shape.ONE_NODE: (1, 0), Shape.THREE_NODES: (3, 0), Shape.WORKERS: (3, 3)}
EVERYTHING: dict[str, Any] = {
    "registries": {
        "docker.io": ["https://mirror.example.com/hub", "http://other.example.com:5000"],
        "ghcr.io": ["https://mirror.example.com"],
    },
    "timeServers": ["ntp.example.com", "10.0.0.1"],
    "disks": {
        "install": {"type": "ssd", "size": "< 1TiB", "model": "QEMU*", "busPath": "/pci0000:00/*"},
        "data": {"type": "nvme", "serial": 'a"b*', "wwid": "naa.*"},
    },
}
ONE_DISK: dict[str, Any] = {"disks": {"install": {"size": ">= 10GB"}}}


async def made(talosctl: Path, platform: Platform) -> Folder:
    """Make and validate all configurations."""
    folder = folder_of(platform)
    prepare(folder)
    site = Site(platform, folder, Program(talosctl), Progress(3))
    await configs.make_secrets(site)
    await configs.make_configs(site)
    await configs.validate(site)
    return folder


def documents(folder: Folder, name: str) -> dict[str, Any]:
    """A node's documents by kind, and by name where a kind comes several times."""
    found = yaml.safe_load_all((folder.path / "nodes" / f"{name}.yaml").read_text())
    return {item.get("kind", "v1alpha1") + item.get("name", ""): item for item in found}


@pytest.mark.parametrize("found", Shape)
@pytest.mark.parametrize("changes", [{}, ONE_DISK, EVERYTHING], ids=["two", "one", "all"])
async def test_every_overlay_is_valid_for_metal_and_cloud(
    tmp_path: Path, talosctl: Path, found: Shape, changes: dict[str, Any]
) -> None:
    """`validate` inside is strict, for both modes, for each control plane and worker."""
    platform = example(tmp_path, *SHAPES[found], folder="secret", **changes)
    assert shape(platform) is found
    folder = await made(talosctl, platform)
    for node in platform.nodes:
        content = documents(folder, node.name)
        machine, cluster = content["v1alpha1"]["machine"], content["v1alpha1"]["cluster"]
        assert machine["type"] == node.role
        assert "disk" not in machine["install"], "a name would stand beside the selector"
        assert machine["kubelet"]["extraArgs"] == {"rotate-server-certificates": "true"}
        assert content["HostnameConfig"]["hostname"] == node.name
        assert content["VolumeConfigEPHEMERAL"]["provisioning"]["maxSize"] == "60GiB"
        assert content["UserVolumeConfigdata"]
        alone = found is not Shape.WORKERS and node.role is Role.CONTROL_PLANE
        assert cluster.get("allowSchedulingOnControlPlanes", False) is alone
        assert ("nodeLabels" in machine) is (node.role is Role.CONTROL_PLANE and not alone)
        carries_work = alone or node.role is Role.WORKER
        assert ("sysctls" in machine) is carries_work
        assert ("extraConfig" in machine["kubelet"]) is (
            carries_work and found is not Shape.ONE_NODE
        )


async def test_what_the_platform_says_is_in_the_configurations(
    tmp_path: Path, talosctl: Path
) -> None:
    platform = example(tmp_path, 3, 3, folder="secret", **EVERYTHING)
    folder = await made(talosctl, platform)
    content = documents(folder, "node-1")
    install = content["v1alpha1"]["machine"]["install"]
    assert install["image"].endswith(":v1.13.9")
    assert install["diskSelector"]["size"] == "< 1099511627776B"
    mirrors = content["RegistryMirrorConfigdocker.io"]["endpoints"]
    assert [mirror["url"] for mirror in mirrors] == EVERYTHING["registries"]["docker.io"]
    assert content["TimeSyncConfig"]["ntp"]["servers"] == EVERYTHING["timeServers"]
    assert content["Layer2VIPConfig10.0.0.9"]["link"] == "eth0"
    assert content["v1alpha1"]["cluster"]["controlPlane"]["endpoint"] == "https://10.0.0.9:6443"
    assert "Layer2VIPConfig10.0.0.9" not in documents(folder, "node-4")


@pytest.mark.parametrize(
    ("patch", "messages"),
    [
        pytest.param(
            {"machine": {"kubelett": {}}},
            ["patch {path} cannot be applied", "unknown keys found", "kubelett"],
            id="misspelt field",
        ),
        pytest.param(
            {"apiVersion": "v1alpha1", "kind": "SysctlConfig", "params": {"fs.aio-max-nr": "1"}},
            ["patch {path} cannot be applied", '"SysctlConfig" "v1alpha1": not registered'],
            id="document of Talos 1.14",
        ),
        pytest.param(
            {
                "apiVersion": "v1alpha1",
                "kind": "UserVolumeConfig",
                "name": "more",
                "provisioning": {"diskSelector": {"match": "!system_disk"}, "minSize": "10Gx"},
            },
            ["patch {path} cannot be applied", "unhandled size name: gx"],
            id="size that is none",
        ),
        pytest.param(
            {
                "apiVersion": "v1alpha1",
                "kind": "UserVolumeConfig",
                "name": "more",
                "provisioning": {"diskSelector": {"match": "disk.sise > 1u"}, "minSize": "1GiB"},
            },
            ["node node-1: the configuration for metal", "undefined field 'sise'"],
            id="selector that is no expression",
        ),
        pytest.param(
            {"machine": {"network": {"hostname": "other"}}},
            ["node node-1: the configuration for metal: talosctl refuses", "hostname"],
            id="old and new document for one thing",
        ),
        pytest.param(
            {"machine": {"kubelet": {"extraConfig": {"resolvConf": "/tmp/mine"}}}},
            ["node node-1: the configuration for metal: talosctl refuses", "resolvConf"],
            id="kubelet field that Talos sets itself",
        ),
    ],
)
async def test_a_wrong_patch_is_refused_before_any_node_is_touched(
    tmp_path: Path, talosctl: Path, patch: dict[str, Any], messages: list[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(patch))
    platform = example(tmp_path, 1, folder="secret", patches={"all": ["mine.yaml"]})
    with pytest.raises(ConfigurationError) as found:
        await made(talosctl, platform)
    for message in messages:
        assert message.format(path=path) in str(found.value)


async def test_a_patch_of_ones_own_is_applied_last(tmp_path: Path, talosctl: Path) -> None:
    (tmp_path / "mine.yaml").write_text("machine: {sysctls: {fs.aio-max-nr: '2097152'}}\n")
    nodes = [
        {"name": "one", "role": "controlplane", "address": "10.0.0.1", "patches": ["mine.yaml"]},
    ]
    folder = await made(talosctl, example(tmp_path, 1, folder="secret", nodes=nodes))
    sysctls = documents(folder, "one")["v1alpha1"]["machine"]["sysctls"]
    assert sysctls == {"fs.aio-max-nr": "2097152"}


async def test_a_misspelt_kubelet_setting_is_caught_by_nobody(
    tmp_path: Path, talosctl: Path
) -> None:
    """A limit of Talos's that the docs tell: the kubelet will refuse to start."""
    (tmp_path / "mine.yaml").write_text(
        "machine: {kubelet: {extraConfig: {cpuManagerPolicyy: static}}}\n"
    )
    await made(talosctl, example(tmp_path, 1, folder="secret", patches={"all": ["mine.yaml"]}))


async def test_secrets_are_made_once(tmp_path: Path, talosctl: Path) -> None:
    platform = example(tmp_path, 1, folder="secret")
    folder = await made(talosctl, platform)
    before = folder.secrets.read_bytes()
    await made(talosctl, platform)
    assert folder.secrets.read_bytes() == before
