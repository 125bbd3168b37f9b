"""Which patches a node's machine configuration gets, and with which values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from sluice_api.model import Model
from sluice_talos.platform import Node, Platform, Role
from sluice_talos.sources import OVERLAYS, PATCHES

Manifest = dict[str, Any]


class Shape(StrEnum):
    """The kinds of clusters, each with an overlay."""

    ONE_NODE = "one-node"
    THREE_NODES = "three-nodes"
    WORKERS = "workers"


class Overlay(Model):
    """The names of the patches that a shape needs, by the nodes that get them."""

    all: tuple[str, ...]
    control_plane: tuple[str, ...]
    worker: tuple[str, ...]


@dataclass(frozen=True)
class Patch:
    """A patch with a node's own values."""

    name: str
    documents: tuple[Manifest, ...]


def shape(platform: Platform) -> Shape:
    """Tell what kind of cluster the nodes make."""
    if platform.workers:
        return Shape.WORKERS
    return Shape.ONE_NODE if len(platform.nodes) == 1 else Shape.THREE_NODES


def overlay(found: Shape) -> Overlay:
    """Read a shape's overlay."""
    return Overlay.model_validate(yaml.safe_load((OVERLAYS / f"{found}.yaml").read_text()))


def shared_patches(platform: Platform, role: Role) -> tuple[Path, ...]:
    """Return the files that every node of a role gets as they are, in order."""
    found = overlay(shape(platform))
    names = found.control_plane if role is Role.CONTROL_PLANE else found.worker
    return tuple(PATCHES / f"{name}.yaml" for name in (*found.all, *names))


def user_patches(platform: Platform, node: Node) -> tuple[Path, ...]:
    """Return the user's own files for a node, in order."""
    of_role = platform.patches.worker
    if node.role is Role.CONTROL_PLANE:
        of_role = platform.patches.control_plane
    return (*platform.patches.all, *of_role, *node.patches)


def node_patches(platform: Platform, node: Node) -> tuple[Patch, ...]:
    """Return the patches that hold values of the platform's or the node's own, in order."""
    return tuple(_node_patches(platform, node))


def _node_patches(platform: Platform, node: Node) -> Iterator[Patch]:
    yield _filled("hostname", lambda patch: patch.update(hostname=node.name))
    selector = platform.install_disk(node).install_selector()
    yield _filled(
        "install-disk", lambda patch: patch["machine"]["install"].update(diskSelector=selector)
    )
    yield _data(platform, node)
    if platform.registries:
        yield _mirrors(platform.registries)
    if platform.time_servers:
        servers = list(platform.time_servers)
        yield _filled("time-servers", lambda patch: patch["ntp"].update(servers=servers))
    vip = platform.cluster.vip
    if vip is not None and node.role is Role.CONTROL_PLANE:
        yield _filled(
            "virtual-address", lambda patch: patch.update(name=vip.address, link=vip.link)
        )


def _data(platform: Platform, node: Node) -> Patch:
    selector = platform.data_disk(node)
    if selector is None:
        return Patch("data-directory", (_template("data-directory"),))
    match = {"match": selector.expression()}
    return _filled("data-disk", lambda patch: patch["provisioning"].update(diskSelector=match))


def _mirrors(registries: Mapping[str, tuple[str, ...]]) -> Patch:
    template = _template("registry-mirror")
    documents = [
        {**template, "name": host, "endpoints": [{"url": url} for url in urls]}
        for host, urls in registries.items()
    ]
    return Patch("registry-mirror", tuple(documents))


def _filled(name: str, fill: Callable[[Manifest], Any]) -> Patch:
    """Take a patch file and let ``fill`` put values in."""
    document = _template(name)
    fill(document)
    return Patch(name, (document,))


def _template(name: str) -> Manifest:
    found: Manifest = yaml.safe_load((PATCHES / f"{name}.yaml").read_text())
    return found


def rendered(patch: Patch) -> str:
    """Write a patch as YAML."""
    return f"# {patch.name}\n" + yaml.safe_dump_all(patch.documents, sort_keys=False)
