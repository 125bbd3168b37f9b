"""What must hold between the fields of ``platform.yaml``."""

from collections.abc import Callable, Iterator
from typing import Final

from sluice_talos.document import Fault
from sluice_talos.platform import Node, Platform, Service

_CONTROL_PLANES: Final = (1, 3, 5)
_NEEDS: Final = {
    Service.REDPANDA: (Service.STORAGE,),
    Service.POSTGRES: (Service.STORAGE,),
    Service.REDIS: (Service.STORAGE,),
    Service.S3: (Service.STORAGE,),
    Service.OPERATOR: (Service.REDPANDA, Service.POSTGRES, Service.REDIS),
}


def faults(platform: Platform) -> tuple[Fault, ...]:
    """Return everything that is wrong, each with its place."""
    return (
        *_repeated(platform, "name", lambda node: node.name),
        *_repeated(platform, "address", lambda node: node.address),
        *_control_planes(platform),
        *_endpoint(platform),
        *_disks(platform),
        *_services(platform),
    )


def _repeated(platform: Platform, field: str, value: Callable[[Node], str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, node in enumerate(platform.nodes):
        if (found := value(node)) in first:
            message = f"must differ from nodes[{first[found]}].{field}, found {found!r} twice"
            yield Fault(("nodes", index, field), message)
        first.setdefault(found, index)


def _control_planes(platform: Platform) -> Iterator[Fault]:
    count = len(platform.control_planes)
    if count not in _CONTROL_PLANES:
        message = f"must hold 1, 3 or 5 nodes with role controlplane (etcd's quorum), found {count}"
        yield Fault(("nodes",), message)


def _endpoint(platform: Platform) -> Iterator[Fault]:
    cluster = platform.cluster
    if cluster.vip is None:
        if cluster.endpoint is None and len(platform.control_planes) > 1:
            message = "must say endpoint (a load balancer) or vip: several nodes serve the API"
            yield Fault(("cluster",), message)
        return
    taken = {node.address: index for index, node in enumerate(platform.nodes)}
    if (index := taken.get(cluster.vip.address)) is not None:
        message = f"must be an address that no node has, found that of nodes[{index}]"
        yield Fault(("cluster", "vip", "address"), message)


def _disks(platform: Platform) -> Iterator[Fault]:
    for index, node in enumerate(platform.nodes):
        if node.disks.install is None and platform.disks.install is None:
            message = (
                "must say which disk to install to, here or under disks for all nodes,"
                ' such as {install: {size: "<= 64GB"}}'
            )
            yield Fault(("nodes", index, "disks"), message)


def _services(platform: Platform) -> Iterator[Fault]:
    for index, service in enumerate(platform.services):
        if service in platform.services[:index]:
            yield Fault(("services", index), f"stands there twice, found {str(service)!r}")
        missing = [need for need in _NEEDS.get(service, ()) if need not in platform.services]
        if missing:
            message = f"{service} needs {', '.join(missing)}: add it, or leave {service} out"
            yield Fault(("services", index), message)
    if Service.OPERATOR in platform.services and platform.operator is None:
        message = "is missing: say the image of the operator, or leave operator out of services"
        yield Fault(("operator",), message)
