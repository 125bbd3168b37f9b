"""The steps of a bootstrap: what each does and by which calls. Nothing is done here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from sluice_talos import commands
from sluice_talos.commands import Arguments
from sluice_talos.folder import Folder
from sluice_talos.installation import Call, installation
from sluice_talos.patches import node_patches, shape
from sluice_talos.platform import Node, Platform


class Stage(StrEnum):
    """The steps, in order; the services are a step each."""

    SECRETS = "secrets"
    CONFIGS = "machine configurations"
    VALIDATION = "validation"
    APPLICATION = "configurations to the nodes"
    ENDPOINTS = "endpoints"
    MEMBERS = "nodes back from their reboot"
    BOOTSTRAP = "etcd"
    KUBECONFIG = "kubeconfig"
    HEALTH = "health"


@dataclass(frozen=True)
class Step:
    """A step as the plan shows it."""

    title: str
    why: str
    calls: tuple[Call, ...]


def steps(platform: Platform, folder: Folder) -> tuple[Step, ...]:
    """Return every step of a bootstrap from nothing, with the calls that it makes."""
    return (
        *(_step(stage, platform, folder) for stage in Stage),
        *(Step(part.title, part.why, part.calls) for part in installation(platform, folder)),
    )


def _step(stage: Stage, platform: Platform, folder: Folder) -> Step:
    first = platform.control_planes[0]

    def each(make: Callable[[Node], Arguments]) -> Iterator[Arguments]:
        return (make(node) for node in platform.nodes)

    why, found = {
        Stage.SECRETS: (
            "authorities and tokens, once; kept if they are there",
            [commands.gen_secrets(platform, folder.secrets)],
        ),
        Stage.CONFIGS: (
            f"Sluice's patches for {shape(platform)}, each node's values, then patches of your own",
            [
                commands.gen_config(platform, folder, folder.generated),
                *each(lambda node: _patch_config(platform, folder, node)),
            ],
        ),
        Stage.VALIDATION: (
            "each configuration, as for a bare machine and as for a cloud's",
            [
                commands.validate(folder.config(node), mode)
                for node in platform.nodes
                for mode in commands.MODES
            ],
        ),
        Stage.APPLICATION: (
            "side by side, to nodes in maintenance mode whose disks fit; they install and reboot."
            " Members of the cluster get it too, unless they would have to reboot",
            [
                call
                for node in platform.nodes
                for call in (
                    commands.maintenance_disks(node),
                    commands.apply_first(folder, node),
                )
            ],
        ),
        Stage.ENDPOINTS: (
            "the talosconfig learns the control planes' addresses",
            [commands.endpoints(platform, folder), commands.default_nodes(platform, folder)],
        ),
        Stage.MEMBERS: (
            f"until each shows the cluster's certificate, at most {platform.waits.node}",
            each(lambda node: commands.version(folder, node)),
        ),
        Stage.BOOTSTRAP: (
            f"on {first.name} alone, unless a control plane knows etcd's members;"
            f" at most {platform.waits.bootstrap}",
            [commands.bootstrap(folder, first)],
        ),
        Stage.KUBECONFIG: (
            "into the folder; your own kubeconfig is not touched",
            [commands.kubeconfig(folder, first, folder.kubeconfig)],
        ),
        Stage.HEALTH: (
            f"etcd, kubelets, nodes, pods of the control plane; at most {platform.waits.health}",
            [commands.health(platform, folder, platform.waits.health.seconds)],
        ),
    }[stage]
    return Step(stage, why, _talos_calls(found))


def _talos_calls(found: Iterable[Arguments]) -> tuple[Call, ...]:
    return tuple(Call("talosctl", arguments) for arguments in found)


def _patch_config(platform: Platform, folder: Folder, node: Node) -> Arguments:
    names = [patch.name for patch in node_patches(platform, node)]
    files = commands.patch_files(platform, folder, node, names)
    return commands.patch_config(folder.generated / f"{node.role}.yaml", files, folder.config(node))


def described(platform: Platform, folder: Folder) -> str:
    """Write the plan for a person."""
    nodes = len(platform.nodes)
    lines = [
        f"cluster {platform.cluster.name}: {nodes} node{'s' if nodes > 1 else ''}, API at"
        f" {platform.endpoint}, Talos {platform.versions.talos},"
        f" Kubernetes {platform.versions.kubernetes}",
        f"folder {folder.path}",
        "",
    ]
    for node in platform.nodes:
        data = platform.data_disk(node)
        volumes = data.expression() if data else "a directory of the system disk"
        install = platform.install_disk(node).install_selector()
        chosen = ", ".join(f"{field} {value}" for field, value in install.items())
        lines += [
            f"node {node.name} ({node.role}) at {node.address}",
            f"  system disk: {chosen}",
            f"  volumes: {volumes}",
        ]
    for number, step in enumerate(steps(platform, folder), 1):
        lines += ["", f"{number}. {step.title}: {step.why}"]
        lines += [
            f"   {call.program} {' '.join(map(quote, call.arguments))}" for call in step.calls
        ]
    return "\n".join(lines)
