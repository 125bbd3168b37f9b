"""The node's network namespace, and the one link between it and the host."""

import re
from contextlib import suppress
from pathlib import Path

from sluice_dev.errors import ClusterError
from sluice_dev.layout import Layout
from sluice_dev.processes import require, run


def create(layout: Layout) -> None:
    """Make the namespace, the link and the routes from the host to pods and services."""
    require("ip", "apt-get install iproute2")
    space, link = layout.namespace, layout.interface
    run(["ip", "netns", "add", space])
    run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space])
    run(["ip", "address", "add", f"{layout.host_address}/30", "dev", link])
    run(["ip", "link", "set", link, "up"])
    for command in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{layout.node_address}/30", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["route", "add", "default", "via", layout.host_address],
    ):
        run(["ip", "-n", space, *command])
    for network in (layout.pod_network, layout.service_network):
        run(["ip", "route", "add", network, "via", layout.node_address])
    _write_resolver(layout)


def _write_resolver(layout: Layout) -> None:
    """Let ``ip netns exec`` use the cluster's DNS."""
    folder = resolver(layout)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text((layout.state / "resolv.conf").read_text())


def exists(layout: Layout) -> bool:
    """Whether a namespace of the cluster's name is there, whoever made it."""
    return (Path("/run/netns") / layout.namespace).exists()


def used_slots() -> set[int]:
    """Return the slots of all clusters on the machine, whoever's cache they are built from."""
    addresses = run(["ip", "-4", "-oneline", "address", "show"])
    return {int(slot) for slot in re.findall(r" 10\.213\.(\d+)\.1/30 ", addresses)}


def resolver(layout: Layout) -> Path:
    """Return the folder whose files stand for those of /etc inside the namespace."""
    return Path("/etc/netns") / layout.namespace


def remove(layout: Layout) -> None:
    """Remove the namespace, the link and the resolver; what is not there is passed over."""
    with suppress(ClusterError):
        run(["ip", "link", "delete", layout.interface])
    if exists(layout):
        run(["ip", "netns", "delete", layout.namespace])
    folder = resolver(layout)
    if folder.is_dir():
        (folder / "resolv.conf").unlink(missing_ok=True)
        folder.rmdir()
    with suppress(OSError):
        folder.parent.rmdir()
