"""``sluice cluster bootstrap``: the steps, one after the other, each safe to repeat."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sluice_talos import configs, control_plane, nodes
from sluice_talos.installation import installation
from sluice_talos.installer import install, prepare_services, require_programs
from sluice_talos.site import Site
from sluice_talos.steps import Stage

STAGES: Final[Mapping[Stage, Callable[[Site], Awaitable[None]]]] = {
    Stage.SECRETS: configs.make_secrets,
    Stage.CONFIGS: configs.make_configs,
    Stage.VALIDATION: configs.validate,
    Stage.APPLICATION: nodes.apply,
    Stage.ENDPOINTS: control_plane.set_endpoints,
    Stage.MEMBERS: nodes.wait_for_members,
    Stage.BOOTSTRAP: control_plane.bootstrap,
    Stage.KUBECONFIG: control_plane.fetch_kubeconfig,
    Stage.HEALTH: control_plane.wait_for_health,
}


async def bootstrap(site: Site) -> None:
    """Bring the cluster up; a second run goes on where the first stopped.

    Nothing is remembered between runs: each step looks at what is there. Raises ``SluiceError``.
    """
    require_programs(site)
    for stage, work in STAGES.items():
        async with site.progress.step(stage):
            await work(site)
    prepare_services(site)
    for part in installation(site.platform, site.folder):
        async with site.progress.step(part.title):
            await install(site, part)
