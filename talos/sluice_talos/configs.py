"""Secrets and machine configurations: made here, checked here, before any node is touched."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sluice_api.errors import ConfigurationError
from sluice_talos import commands
from sluice_talos.folder import make_private, write_private
from sluice_talos.patches import node_patches, rendered
from sluice_talos.platform import Node
from sluice_talos.site import Site


async def make_secrets(site: Site) -> None:
    """Make the secrets once: with other ones the cluster would be another cluster."""
    target = site.folder.secrets
    if target.exists():
        site.progress.say(f"kept {target}")
        return
    unfinished = site.folder.unfinished / target.name
    await _call(site, commands.gen_secrets(site.platform, unfinished), "the secrets")
    unfinished.replace(target)
    site.progress.say(f"made {target}: keep a copy of it in a safe place")


async def make_configs(site: Site) -> None:
    """Make a configuration for each node, from the secrets, Sluice's patches and the user's.

    Raises ``ConfigurationError`` that names the patch that cannot be applied.
    """
    await _generate(site)
    for node in site.platform.nodes:
        await _make_config(site, node)
    site.progress.say(f"{len(site.platform.nodes)} configurations in {site.folder.path / 'nodes'}")


async def validate(site: Site) -> None:
    """Let talosctl check every configuration. Raises ``ConfigurationError``."""
    for node in site.platform.nodes:
        for mode in commands.MODES:
            arguments = commands.validate(site.folder.config(node), mode)
            await _call(site, arguments, f"node {node.name}: the configuration for {mode}")
    site.progress.say(f"each is valid for {' and '.join(commands.MODES)}")


async def _generate(site: Site) -> None:
    folder = site.folder
    unfinished = folder.unfinished / "generated"
    await _call(site, commands.gen_config(site.platform, folder, unfinished), "the configurations")
    shutil.rmtree(folder.generated, ignore_errors=True)
    (unfinished / "talosconfig").replace(folder.talosconfig)
    unfinished.rename(folder.generated)


async def _make_config(site: Site, node: Node) -> None:
    folder, patches = site.folder, node_patches(site.platform, node)
    for patch in patches:
        write_private(folder, folder.patch(node, patch.name), rendered(patch))
    names = [patch.name for patch in patches]
    files = commands.patch_files(site.platform, folder, node, names)
    base = folder.generated / f"{node.role}.yaml"
    target = folder.config(node)
    make_private(target.parent)
    unfinished = folder.unfinished / target.name
    answer = await site.talos(commands.patch_config(base, files, unfinished))
    if not answer.ok:
        raise ConfigurationError(await _culprit(site, base, files, unfinished, answer.error))
    unfinished.replace(target)


async def _culprit(site: Site, base: Path, files: Sequence[Path], target: Path, said: str) -> str:
    """Find the patch that cannot be applied: talosctl does not say which it is."""
    for path in files:
        answer = await site.talos(commands.patch_config(base, [path], target))
        if not answer.ok:
            return f"patch {path} cannot be applied: {_told(answer.error)}"
    return f"the patches cannot be applied together: {_told(said)}"


async def _call(site: Site, arguments: Sequence[str], what: str) -> None:
    answer = await site.talos(arguments)
    if not answer.ok:
        raise ConfigurationError(f"{what}: talosctl refuses: {_told(answer.error)}")


def _told(text: str) -> str:
    return " ".join(text.split()) or "without a word"
