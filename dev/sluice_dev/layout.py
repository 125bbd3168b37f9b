"""What follows from a cluster's name and its slot: folders, addresses, names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice_dev.errors import ClusterError

SLOTS: Final = 100
"""How many clusters one machine can hold."""
MAX_NAME: Final = 12
"""Linux allows 15 characters for the name of a network interface."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's place on the machine.

    The slot makes its networks: 10.213.<slot>.0/30 between host and node, 10.214.<slot>.0/24 for
    pods, 10.215.<slot>.0/24 for services.
    """

    name: str
    slot: int
    state: Path

    @property
    def namespace(self) -> str:
        """The network namespace, the cgroup and the host's name of the node."""
        return f"sluice-{self.name}"

    @property
    def interface(self) -> str:
        """The host's end of the link to the node."""
        return f"sl-{self.name}"

    @property
    def host_address(self) -> str:
        """The host's address on that link."""
        return f"10.213.{self.slot}.1"

    @property
    def node_address(self) -> str:
        """The node's address on that link, where the API server listens."""
        return f"10.213.{self.slot}.2"

    @property
    def pod_network(self) -> str:
        """The pods' addresses."""
        return f"10.214.{self.slot}.0/24"

    @property
    def service_network(self) -> str:
        """The services' addresses."""
        return f"10.215.{self.slot}.0/24"

    @property
    def api_service_address(self) -> str:
        """The address of the service ``kubernetes``."""
        return f"10.215.{self.slot}.1"

    @property
    def dns_address(self) -> str:
        """The address of the service ``kube-dns``."""
        return f"10.215.{self.slot}.10"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.node_address}:6443"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig, for use from the host."""
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        return self.state / "logs"


def check_name(name: str) -> str:
    """Return the name, or raise ``ClusterError`` when it cannot be a cluster's."""
    fits = 0 < len(name) <= MAX_NAME and name.isascii() and name.replace("-", "").isalnum()
    if not fits or name != name.lower() or name.startswith("-"):
        raise ClusterError(
            f"a cluster's name has 1 to {MAX_NAME} lower-case letters, digits and dashes,"
            f" found {name!r}"
        )
    return name


def free_slot(taken: set[int]) -> int:
    """Return the lowest slot that no other cluster holds."""
    for slot in range(SLOTS):
        if slot not in taken:
            return slot
    raise ClusterError(f"all {SLOTS} slots are taken: `dev/cluster down --all` frees them")
