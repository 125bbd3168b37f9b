"""Where the demo and the end-to-end tests run: a local cluster, or one of the user's own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sluice_dev import cluster as clusters
from sluice_dev.command import load_project, load_services
from sluice_dev.errors import ClusterError
from sluice_dev.processes import require, run
from sluice_dev.progress import Progress

SYSTEM_NAMESPACE: Final = "sluice-system"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, bound to one cluster."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run it; return what it printed. Raises ``ClusterError`` with what it said."""
        command = [*self.command, *arguments]
        return run(command, env=self.environment, stdin=stdin, timeout=timeout)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run it and parse the JSON object that it prints."""
        found: dict[str, Any] = json.loads(self(*arguments, "--output=json"))
        return found

    def apply(self, manifest: str, *arguments: str) -> None:
        """Apply YAML or JSON on the server's side."""
        server_side = ("apply", "--server-side", "--force-conflicts", "--filename=-")
        self(*server_side, *arguments, stdin=manifest)

    @property
    def whole_environment(self) -> dict[str, str]:
        """The variables to run the command with by other means."""
        return {**os.environ, **self.environment}


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster, the image to run in it, and the namespace of the jobs."""

    kubectl: Kubectl
    image: str
    jobs: str
    local: bool
    shown: str
    """The kubectl command for people, to look further."""

    @property
    def system(self) -> str:
        """The namespace of the operator and the services; in a user's cluster there is but one."""
        return SYSTEM_NAMESPACE if self.local else self.jobs


def target(cluster: str, jobs: str, progress: Progress) -> Target:
    """Return the user's cluster when CONTEXT names it, else the local one, started if need be.

    ``cluster`` is the local cluster's name, ``jobs`` the namespace of the jobs. Raises
    ``ClusterError``.
    """
    context, image = os.environ.get("CONTEXT"), os.environ.get("IMAGE")
    if context and not image:
        raise ClusterError(
            "CONTEXT needs IMAGE: the project's image, where the cluster can pull it"
        )
    if context:
        return user_target(context, image or "", jobs)
    if image:
        raise ClusterError("IMAGE is for a cluster of your own: give CONTEXT too, or neither")
    found = clusters.up(cluster, progress)
    load_services(found, progress)
    reference = load_project(found, progress)
    kubectl = Kubectl((str(found.kubectl_path),), found.environment)
    shown = f"dev/cluster kubectl --name {cluster}"
    return Target(kubectl, reference, jobs, local=True, shown=shown)


def user_target(context: str, image: str, jobs: str) -> Target:
    """Return the user's cluster of a context. Raises ``ClusterError`` when it does not answer."""
    require("kubectl", "install it: the cluster that CONTEXT names is used through it")
    kubectl = Kubectl(("kubectl", f"--context={context}"))
    kubectl("version", timeout=30)
    return Target(kubectl, image, jobs, local=False, shown=f"kubectl --context={context}")
