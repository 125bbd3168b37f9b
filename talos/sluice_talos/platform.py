"""What ``platform.yaml`` says: the machines, and what shall run on them."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from sluice_api.duration import Duration
from sluice_api.model import Model
from sluice_talos.disks import Selector
from sluice_talos.endpoint import endpoint_url
from sluice_talos.values import (
    TALOS,
    Address,
    Bound,
    Endpoint,
    Image,
    KubernetesVersion,
    Label,
    Link,
    Mirrors,
    Pause,
    Registry,
    Server,
    TalosVersion,
)


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
    link: Link
    """The network interface that carries it, as the node calls it: eth0, enp1s0, …"""


class Cluster(Model):
    """The cluster as a whole."""

    name: Label
    endpoint: Endpoint | None = None
    """Host or address where clients reach the Kubernetes API: a load balancer's, for instance."""
    vip: VirtualAddress | None = None


class Versions(Model):
    """What is installed."""

    talos: TalosVersion = f"v{TALOS}.9"
    kubernetes: KubernetesVersion = "v1.36.3"


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

    node: Bound = Duration("10m")
    """From applying a configuration until the node answers with the cluster's certificate."""
    bootstrap: Bound = Duration("5m")
    """Until etcd may be bootstrapped: the node is prepared and its time is in sync."""
    health: Bound = Duration("20m")
    services: Bound = Duration("15m")
    pause: Pause = Duration("2s")
    """Between two looks."""


class Operator(Model):
    """The Sluice operator, and the first job."""

    image: Image
    """Where the cluster can pull the image that `Containerfile` builds."""


class Platform(Model):
    """All of ``platform.yaml``."""

    cluster: Cluster
    versions: Versions = Versions()
    disks: Disks = Disks()
    """Those of every node that does not say its own."""
    nodes: tuple[Node, ...]
    registries: dict[Registry, Mirrors] = Field(default_factory=dict)
    """Registry host to the mirrors that are asked instead, in order."""
    time_servers: tuple[Server, ...] = ()
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
        return endpoint_url(self.cluster.endpoint or vip or self.control_planes[0].address)

    def install_disk(self, node: Node) -> Selector:
        """What the node's system disk is like; the checks have seen to it that it is said."""
        found = node.disks.install or self.disks.install
        if found is None:
            raise ValueError(f"node {node.name} has no install disk")
        return found

    def data_disk(self, node: Node) -> Selector | None:
        """What the node's data disk is like."""
        return node.disks.data or self.disks.data
