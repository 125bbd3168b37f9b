"""Nodes: what each is at, its configuration, and its way back from the reboot."""

from enum import StrEnum

from sluice_api.errors import ConfigurationError, DependencyError
from sluice_talos import commands
from sluice_talos.disks import disk_fault, read_disks
from sluice_talos.platform import Node
from sluice_talos.site import Site, side_by_side
from sluice_talos.trouble import Kind, Trouble, explained, trouble
from sluice_talos.waiting import wait


class Condition(StrEnum):
    """What an answering node is at."""

    MAINTENANCE = "waits for a configuration"
    MEMBER = "is a machine of the cluster"


async def look(site: Site, node: Node) -> Condition | Trouble:
    """Ask a node what it is at."""
    answer = await site.talos(commands.version(site.folder, node))
    if answer.ok:
        return Condition.MEMBER
    found = trouble(answer.error)
    if found.kind is not Kind.UNTRUSTED:
        return found
    answer = await site.talos(commands.maintenance_version(node))
    if answer.ok:
        return Condition.MAINTENANCE
    # Between the two questions it may have come back from its reboot, as one of ours.
    again = await site.talos(commands.version(site.folder, node))
    return Condition.MEMBER if again.ok else trouble(answer.error)


async def apply(site: Site) -> None:
    """Give every node its configuration, side by side."""
    await side_by_side(site.platform.nodes, lambda node: _apply(site, node))


async def _apply(site: Site, node: Node) -> None:
    subject = f"node {node.name} ({node.address})"
    patience = site.patience(
        site.platform.waits.node.seconds, Kind.UNREACHABLE, Kind.UNTRUSTED, Kind.TIMEOUT
    )
    found = await wait(subject, lambda: look(site, node), patience, site.progress.say)
    if found is Condition.MEMBER:
        await _apply_again(site, node, subject)
    else:
        await _apply_first(site, node, subject)


async def _apply_first(site: Site, node: Node, subject: str) -> None:
    await _check_disks(site, node, subject)
    answer = await site.talos(commands.apply_first(site.folder, node))
    if not answer.ok:
        found = trouble(answer.error)
        if found.kind is Kind.REBOOTING:
            site.progress.say(f"{subject}: {found.kind}")
            return
        raise _failure(subject, found)
    site.progress.say(f"{subject}: has its configuration, installs and reboots")


async def _apply_again(site: Site, node: Node, subject: str) -> None:
    answer = await site.talos(commands.apply_again(site.folder, node))
    if not answer.ok:
        raise _failure(subject, trouble(answer.error))
    site.progress.say(f"{subject}: is a machine of the cluster, its configuration is up to date")


def _failure(subject: str, found: Trouble) -> Exception:
    message = explained(subject, found)
    if found.kind in {Kind.INVALID, Kind.NEEDS_REBOOT}:
        return ConfigurationError(message)
    return DependencyError(found.kind.name, message)


async def _check_disks(site: Site, node: Node, subject: str) -> None:
    """Refuse before the installation what would fail during it, out of anybody's sight."""
    answer = await site.talos(commands.maintenance_disks(node))
    if not answer.ok:
        raise _failure(subject, trouble(answer.error))
    install, data = site.platform.install_disk(node), site.platform.data_disk(node)
    if fault := disk_fault(read_disks(answer.output), install, data):
        raise ConfigurationError(f"{subject}: {fault}")


async def wait_for_members(site: Site) -> None:
    """Wait until every node answers with the cluster's certificate."""
    await side_by_side(site.platform.nodes, lambda node: _wait_for_member(site, node))


async def _wait_for_member(site: Site, node: Node) -> None:
    subject = f"node {node.name} ({node.address})"
    waited_out = (Kind.UNTRUSTED, Kind.UNREACHABLE, Kind.TIMEOUT, Kind.CLOCK)
    patience = site.patience(site.platform.waits.node.seconds, *waited_out)

    async def attempt() -> Condition | Trouble:
        answer = await site.talos(commands.version(site.folder, node))
        return Condition.MEMBER if answer.ok else trouble(answer.error)

    await wait(subject, attempt, patience, site.progress.say)
    site.progress.say(f"{subject}: answers with the cluster's certificate")


async def data_disk(site: Site, node: Node) -> str | None:
    """Return the name of the disk that a member's volumes are on, if they have one of their own.

    Raises ``ConfigurationError`` when several could be it.
    """
    install, data = site.platform.install_disk(node), site.platform.data_disk(node)
    if data is None:
        return None
    subject = f"node {node.name} ({node.address})"
    answer = await site.talos(commands.disks(site.folder, node))
    if not answer.ok:
        raise _failure(subject, trouble(answer.error))
    disks = read_disks(answer.output)
    if fault := disk_fault(disks, install, data):
        raise ConfigurationError(f"{subject}: {fault}. Nothing on this node was wiped")
    return next(d.name for d in disks if data.selects(d) and not install.selects(d))
