"""What ``platform.yaml`` says: the machines, and what shall run on them."""

import re
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from sluice_api.duration import Duration
from sluice_api.model import Model
from sluice_talos.disks import Selector

TALOS: Final = "1.13"
"""The minor version that the patches are written for and tested with."""
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"must be an IP address such as 10.0.0.11, found {text!r}") from None


def _label(text: str) -> str:
    if len(text) > 63 or not _LABEL.fullmatch(text):  # noqa: PLR2004
        raise ValueError(
            f"must be at most 63 lower case letters, digits and hyphens, found {text!r}"
        )
    return text


def _talos_version(text: str) -> str:
    if not re.fullmatch(rf"v{re.escape(TALOS)}\.[0-9]+", text):
        raise ValueError(f"must be a version v{TALOS}.…, such as v{TALOS}.9, found {text!r}")
    return text


def _kubernetes_version(text: str) -> str:
    if not re.fullmatch(r"v1\.3[1-6]\.[0-9]+", text):
        raise ValueError(f"must be a version from v1.31.0 to v1.36.…, found {text!r}")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError(f"must be a URL such as https://mirror.example.com, found {text!r}")
    return text


Address = Annotated[str, AfterValidator(_address)]
Label = Annotated[str, AfterValidator(_label)]
Url = Annotated[str, AfterValidator(_url)]


class Role(StrEnum):
    """What a node is in the cluster."""

    CONTROL_PLANE = "controlplane"
    WORKER = "worker"


class Service(StrEnum):
    """What can be installed, in the order of installation."""

    STORAGE = "storage"
    REDPANDA = "redpanda"
    POSTGRES = "postgres"
    REDIS = "redis"
    S3 = "s3"
    OPERATOR = "operator"


class VirtualAddress(Model):
    """An address that one of the control planes holds at any time."""

    address: Address
    link: Annotated[str, Field(min_length=1, max_length=15)]
    """The network interface that carries it, as the node calls it: eth0, enp1s0, …"""


class Cluster(Model):
    """The cluster as a whole."""

    name: Label
    endpoint: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$")] | None
    ) = None
    """Host or address where clients reach the Kubernetes API: a load balancer's, for instance."""
    vip: VirtualAddress | None = None


class Versions(Model):
    """What is installed."""

    talos: Annotated[str, AfterValidator(_talos_version)] = f"v{TALOS}.9"
    kubernetes: Annotated[str, AfterValidator(_kubernetes_version)] = "v1.36.3"


class Disks(Model):
    """Which disks of a node are used, chosen by what they are rather than by their name."""

    install: Selector | None = None
    data: Selector | None = None
    """The disk of the volumes; without one they lie in a directory of the system disk."""


class Node(Model):
    """One machine."""

    name: Label
    role: Role
    address: Address
    disks: Disks = Disks()
    patches: tuple[Path, ...] = ()


class Patches(Model):
    """Machine configuration patches of the user's own, applied after Sluice's."""

    all: tuple[Path, ...] = ()
    control_plane: tuple[Path, ...] = ()
    worker: tuple[Path, ...] = ()


class Waits(Model):
    """How long each kind of waiting may last."""

    node: Duration = Duration("10m")
    """From applying a configuration until the node answers with the cluster's certificate."""
    bootstrap: Duration = Duration("5m")
    """Until etcd may be bootstrapped: the node is prepared and its time is in sync."""
    health: Duration = Duration("20m")
    services: Duration = Duration("15m")
    pause: Duration = Duration("2s")
    """Between two looks."""


class Operator(Model):
    """The Sluice operator, and the first job."""

    image: Annotated[str, Field(pattern=r"^[a-z0-9][^\s]*$")]
    """Where the cluster can pull the image that `Containerfile` builds."""


class Platform(Model):
    """All of ``platform.yaml``."""

    cluster: Cluster
    versions: Versions = Versions()
    disks: Disks = Disks()
    """Those of every node that does not say its own."""
    nodes: tuple[Node, ...]
    registries: dict[str, tuple[Url, ...]] = Field(default_factory=dict)
    """Registry host to the mirrors that are asked instead, in order."""
    time_servers: tuple[str, ...] = ()
    patches: Patches = Patches()
    services: tuple[Service, ...] = tuple(Service)
    operator: Operator | None = None
    waits: Waits = Waits()
    folder: Path | None = None
    """Where secrets, configurations and kubeconfig are kept."""

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """The nodes that run etcd and the Kubernetes API."""
        return tuple(node for node in self.nodes if node.role is Role.CONTROL_PLANE)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The nodes that carry work alone."""
        return tuple(node for node in self.nodes if node.role is Role.WORKER)

    @property
    def endpoint(self) -> str:
        """URL of the Kubernetes API: what was given, the VIP, or the only control plane."""
        vip = self.cluster.vip.address if self.cluster.vip else None
        host = self.cluster.endpoint or vip or self.control_planes[0].address
        if _has_port(host):
            return f"https://{host}"
        return f"https://[{host}]:6443" if ":" in host else f"https://{host}:6443"

    def install_disk(self, node: Node) -> Selector:
        """What the node's system disk is like; the checks have seen to it that it is said."""
        found = node.disks.install or self.disks.install
        if found is None:
            raise ValueError(f"node {node.name} has no install disk")
        return found

    def data_disk(self, node: Node) -> Selector | None:
        """What the node's data disk is like."""
        return node.disks.data or self.disks.data


def _has_port(host: str) -> bool:
    return re.fullmatch(r"[^:]+:[0-9]+", host) is not None
