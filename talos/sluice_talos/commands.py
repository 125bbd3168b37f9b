"""The arguments of every call of talosctl; none of them is a secret."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sluice_talos.folder import Folder
from sluice_talos.patches import shared_patches, user_patches
from sluice_talos.platform import Node, Platform, Role

Arguments = tuple[str, ...]
MODES: Final = ("metal", "cloud")
"""Both are validated: a cloud's image is installed already, a bare machine is not."""


def client_version() -> Arguments:
    """Ask which talosctl this is."""
    return ("version", "--client")


def gen_secrets(platform: Platform, target: Path) -> Arguments:
    """Make the cluster's authorities and tokens."""
    return ("gen", "secrets", "--talos-version", platform.versions.talos, "-o", str(target))


def gen_config(platform: Platform, folder: Folder, target: Path) -> Arguments:
    """Make a configuration for each role, with the patches that all its nodes share."""
    own = [set(shared_patches(platform, role)) for role in Role]
    shared = own[0] & own[1]
    patches: list[str] = []
    for path in shared_patches(platform, Role.CONTROL_PLANE):
        flag = "--config-patch" if path in shared else "--config-patch-control-plane"
        patches += [flag, f"@{path}"]
    for path in shared_patches(platform, Role.WORKER):
        if path not in shared:
            patches += ["--config-patch-worker", f"@{path}"]
    return (
        *("gen", "config", platform.cluster.name, platform.endpoint),
        *("--with-secrets", str(folder.secrets)),
        *("--talos-version", platform.versions.talos),
        *("--kubernetes-version", platform.versions.kubernetes.removeprefix("v")),
        *("--install-image", f"ghcr.io/siderolabs/installer:{platform.versions.talos}"),
        *("--install-disk", ""),
        *("--with-docs=false", "--with-examples=false"),
        *patches,
        *("-o", str(target)),
    )


def patch_files(platform: Platform, folder: Folder, node: Node, names: Sequence[str]) -> list[Path]:
    """List a node's patches: those with its values, then the user's."""
    own = [folder.patch(node, name) for name in names]
    return [*own, *user_patches(platform, node)]


def patch_config(base: Path, patches: Sequence[Path], target: Path) -> Arguments:
    """Apply patches to a configuration."""
    flags = [argument for path in patches for argument in ("--patch", f"@{path}")]
    return ("machineconfig", "patch", str(base), *flags, "-o", str(target))


def validate(config: Path, mode: str) -> Arguments:
    """Check a configuration; warnings are errors."""
    return ("validate", "--mode", mode, "--strict", "--config", str(config))


def at(folder: Folder, node: Node) -> Arguments:
    """Address one node, through itself: no other node needs to be up."""
    talosconfig = ("--talosconfig", str(folder.talosconfig))
    return (*talosconfig, "--endpoints", node.address, "--nodes", node.address)


def version(folder: Folder, node: Node) -> Arguments:
    """Ask a node of the cluster for its version."""
    return (*at(folder, node), "version")


def maintenance_version(node: Node) -> Arguments:
    """Ask a node that waits for a configuration for its version."""
    return ("--nodes", node.address, "version", "--insecure")


def maintenance_disks(node: Node) -> Arguments:
    """Ask a node that waits for a configuration for its disks."""
    return ("--nodes", node.address, "get", "disks", "--insecure", "--output", "json")


def disks(folder: Folder, node: Node) -> Arguments:
    """Ask a node of the cluster for its disks."""
    return (*at(folder, node), "get", "disks", "--output", "json")


def apply_first(folder: Folder, node: Node) -> Arguments:
    """Give a node its first configuration: it installs Talos and reboots."""
    file = str(folder.config(node))
    return ("--nodes", node.address, "apply-config", "--insecure", "--file", file)


def apply_again(folder: Folder, node: Node) -> Arguments:
    """Give a node of the cluster a configuration, unless it would have to reboot for it."""
    file = str(folder.config(node))
    return (*at(folder, node), "apply-config", "--mode", "no-reboot", "--file", file)


def endpoints(platform: Platform, folder: Folder) -> Arguments:
    """Write the control planes' addresses into the talosconfig."""
    addresses = [node.address for node in platform.control_planes]
    return ("--talosconfig", str(folder.talosconfig), "config", "endpoint", *addresses)


def default_nodes(platform: Platform, folder: Folder) -> Arguments:
    """Write the node that is asked by default into the talosconfig."""
    first = platform.control_planes[0].address
    return ("--talosconfig", str(folder.talosconfig), "config", "node", first)


def etcd_members(folder: Folder, node: Node) -> Arguments:
    """Ask a control plane for etcd's members: it fails where etcd does not run."""
    return (*at(folder, node), "etcd", "members")


def bootstrap(folder: Folder, node: Node) -> Arguments:
    """Start etcd for the first time, on one node."""
    return (*at(folder, node), "bootstrap")


def kubeconfig(folder: Folder, node: Node, target: Path) -> Arguments:
    """Fetch the administrator's kubeconfig; the user's own is not touched."""
    return (*at(folder, node), "kubeconfig", "--merge=false", "--force", str(target))


def health(platform: Platform, folder: Folder, seconds: float) -> Arguments:
    """Wait until the whole cluster is healthy."""
    first = platform.control_planes[0]
    control_planes = ",".join(node.address for node in platform.control_planes)
    workers = ",".join(node.address for node in platform.workers)
    return (
        *at(folder, first),
        "health",
        *("--control-plane-nodes", control_planes),
        *(("--worker-nodes", workers) if workers else ()),
        *("--wait-timeout", f"{seconds:.0f}s"),
    )


def reset(folder: Folder, node: Node, wiped: str | None) -> Arguments:
    """Wipe a node's state, and the disk given; it reboots into maintenance mode."""
    labels = [
        part for label in ("STATE", "EPHEMERAL") for part in ("--system-labels-to-wipe", label)
    ]
    devices = ("--user-disks-to-wipe", wiped) if wiped else ()
    return (
        *at(folder, node),
        "reset",
        "--graceful=false",
        "--reboot",
        "--wait=false",
        *labels,
        *devices,
    )
