"""From configured nodes to a healthy Kubernetes: endpoints, etcd, kubeconfig, health."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_talos import commands
from sluice_talos.platform import Node
from sluice_talos.site import CALL, Site
from sluice_talos.trouble import Kind, Trouble, explained, trouble
from sluice_talos.waiting import wait


async def set_endpoints(site: Site) -> None:
    """Write into the talosconfig which nodes talosctl asks, for whoever uses it later."""
    for arguments in (
        commands.endpoints(site.platform, site.folder),
        commands.default_nodes(site.platform, site.folder),
    ):
        answer = await site.talos(arguments)
        if not answer.ok:
            raise ConfigurationError(f"the talosconfig cannot be changed: {answer.error.strip()}")
    addresses = ", ".join(node.address for node in site.platform.control_planes)
    site.progress.say(f"export TALOSCONFIG={site.folder.talosconfig}  # asks {addresses}")


async def bootstrap(site: Site) -> None:
    """Start etcd on one node, once in the cluster's life.

    Every control plane is asked first: a second etcd beside a running one would be a second
    cluster with the same name.
    """
    running = await etcd_node(site)
    if running is not None:
        site.progress.say(f"etcd runs already: node {running.name} knows its members")
        return
    node = site.platform.control_planes[0]
    subject = f"node {node.name} ({node.address})"
    bound = site.platform.waits.bootstrap.seconds
    waited_out = (Kind.TOO_EARLY, Kind.CLOCK, Kind.UNREACHABLE, Kind.TIMEOUT)

    async def attempt() -> str | Trouble:
        answer = await site.talos(commands.bootstrap(site.folder, node))
        if answer.ok:
            return "etcd is started"
        found = trouble(answer.error)
        return "etcd was started before" if found.kind is Kind.DONE_BEFORE else found

    said = await wait(subject, attempt, site.patience(bound, *waited_out), site.progress.say)
    site.progress.say(f"{subject}: {said}")


async def fetch_kubeconfig(site: Site) -> None:
    """Fetch the administrator's kubeconfig into the folder."""
    node, target = site.platform.control_planes[0], site.folder.kubeconfig
    unfinished = site.folder.unfinished / target.name

    async def attempt() -> bool | Trouble:
        answer = await site.talos(commands.kubeconfig(site.folder, node, unfinished))
        return True if answer.ok else trouble(answer.error)

    patience = site.patience(site.platform.waits.bootstrap.seconds, Kind.UNREACHABLE, Kind.TIMEOUT)
    await wait(f"node {node.name} ({node.address})", attempt, patience, site.progress.say)
    unfinished.replace(target)
    site.progress.say(f"export KUBECONFIG={target}")


async def wait_for_health(site: Site) -> None:
    """Wait until Talos finds the whole cluster healthy.

    Raises ``DependencyError`` with the check that did not pass.
    """
    bound = site.platform.waits.health.seconds
    arguments = commands.health(site.platform, site.folder, bound)
    seen, said = Checks(), list[str]()
    # talosctl has the bound itself; the second one is for a connection that hangs.
    with suppress(TimeoutError):
        async with asyncio.timeout(bound + CALL):
            async for line in site.talosctl.lines(arguments, said):
                seen.read(line, site.progress.say)
    if said != ["0"]:
        raise DependencyError("Unhealthy", _unhealthy(site, seen, bound))


@dataclass
class Checks:
    """What `talosctl health` has told so far."""

    passed: int = 0
    waiting: str = "the first check"
    last: str = ""

    def read(self, line: str, say: Callable[[str], None]) -> None:
        """Take in a line, and tell what is new in it."""
        self.last = line or self.last
        check = re.match(r"waiting for ([^:]+): (.*)", line)
        if check is None:
            return
        self.waiting = check[1]
        if check[2] == "OK":
            self.passed += 1
            say(f"{self.passed:2d} {self.waiting}")
        elif check[2] != "...":
            say(f"   waiting for {self.waiting}: {check[2]}")


def _unhealthy(site: Site, seen: Checks, bound: float) -> str:
    found = trouble(seen.last)
    if seen.passed == 0 and found.kind in {Kind.UNREACHABLE, Kind.UNTRUSTED}:
        return explained(f"node {site.platform.control_planes[0].name}", found)
    return (
        f"the cluster is not healthy after {bound:.0f} s: {seen.passed} checks passed, then Talos"
        f" waited for {seen.waiting} ({found.detail}). See `talosctl --talosconfig"
        f" {site.folder.talosconfig} dmesg` and `service` on the node that is named, and run"
        " the command again"
    )


async def etcd_node(site: Site) -> Node | None:
    """Find a control plane that knows etcd's members, if etcd runs."""
    for node in site.platform.control_planes:
        if (await site.talos(commands.etcd_members(site.folder, node))).ok:
            return node
    return None
