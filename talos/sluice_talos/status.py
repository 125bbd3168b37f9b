"""``sluice cluster status``: what is there, without changing anything."""

import asyncio
from collections.abc import Iterator

from sluice_talos import commands
from sluice_talos.control_plane import etcd_node
from sluice_talos.nodes import Condition, look
from sluice_talos.platform import Node
from sluice_talos.site import Site
from sluice_talos.trouble import Trouble, explained


async def status(site: Site) -> str:
    """Look at every node, etcd and the folder; return what a person wants to know."""
    if not site.folder.talosconfig.exists():
        return f"folder {site.folder.path} holds no talosconfig: nothing was made yet"
    found = await asyncio.gather(*(_node(site, node) for node in site.platform.nodes))
    etcd = await etcd_node(site)
    lines = [*found, "etcd: runs" if etcd else "etcd: does not run, or nobody answers for it"]
    lines += _files(site)
    return "\n".join(lines)


async def _node(site: Site, node: Node) -> str:
    name = f"{node.name} ({node.role}, {node.address})"
    found = await look(site, node)
    if isinstance(found, Trouble):
        return explained(name, found)
    if found is Condition.MAINTENANCE:
        return f"{name}: {found}"
    answer = await site.talos(commands.version(site.folder, node))
    versions = [line.split()[-1] for line in answer.output.splitlines() if "Tag:" in line]
    return f"{name}: {found}, Talos {versions[-1] if versions else 'of unknown version'}"


def _files(site: Site) -> Iterator[str]:
    yield f"talosconfig: {site.folder.talosconfig}"
    kubeconfig = site.folder.kubeconfig
    yield f"kubeconfig: {kubeconfig if kubeconfig.exists() else 'not fetched yet'}"
