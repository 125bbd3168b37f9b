"""``sluice cluster reset``: the nodes back to maintenance mode, as before the first bootstrap."""

from sluice_api.errors import DependencyError
from sluice_talos import commands
from sluice_talos.nodes import Condition, data_disk, look
from sluice_talos.platform import Node
from sluice_talos.site import Site, side_by_side
from sluice_talos.trouble import Trouble, explained, trouble


async def reset(site: Site, *, wipe_data: bool) -> None:
    """Wipe every member's state and, if asked for, its data disk; what is reset already stays so.

    Raises ``DependencyError`` that tells of every node that was not reset.
    """

    async def one(node: Node) -> None:
        await _reset(site, node, wipe_data=wipe_data)

    async with site.progress.step("nodes back to maintenance mode"):
        await side_by_side(site.platform.nodes, one)


async def _reset(site: Site, node: Node, *, wipe_data: bool) -> None:
    subject = f"node {node.name} ({node.address})"
    found = await look(site, node)
    if isinstance(found, Trouble):
        raise DependencyError(found.kind.name, explained(subject, found))
    if found is Condition.MAINTENANCE:
        site.progress.say(f"{subject}: {found}, nothing to reset")
        return
    wiped = await data_disk(site, node) if wipe_data else None
    answer = await site.talos(commands.reset(site.folder, node, wiped))
    if not answer.ok:
        refusal = trouble(answer.error)
        raise DependencyError(refusal.kind.name, explained(subject, refusal))
    disks = f" and {wiped}" if wiped else "; data disks are kept"
    site.progress.say(f"{subject}: wipes its state{disks}, and reboots")
