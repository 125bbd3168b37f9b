"""Calling kubectl and helm for what is installed into the cluster."""

import secrets
from typing import Final

from sluice_api.errors import DependencyError
from sluice_talos.folder import write_private
from sluice_talos.installation import PLATFORM, Part, image_kustomization, installation, s3_secret
from sluice_talos.site import Site
from sluice_talos.talosctl import Program, find

HINTS: Final = {
    "kubectl": "install the kubectl of your Kubernetes version, or leave services empty",
    "helm": "install Helm 3, or leave redpanda and postgres out of services",
}
IMAGES: Final = {
    "operator": ("sluice-operator", "sluice-system"),
    "first-job": ("users-api", "ingestion"),
}
"""Deployments that run on the user's image, with their namespaces."""
GRACE: Final = 30.0
"""Seconds that a program may take beyond the time-out that it was given."""


def require_programs(site: Site) -> None:
    """Find every program before anything is done. Raises ``ConfigurationError``."""
    parts = installation(site.platform, site.folder)
    for program in sorted({call.program for part in parts for call in part.calls}):
        find(program, HINTS[program])


def prepare_services(site: Site) -> None:
    """Write into the folder what the manifests lack: keys, made once, and the user's image."""
    folder, operator = site.folder.services, site.platform.operator
    if not (folder / "s3.yaml").exists():
        made = s3_secret(secrets.token_hex(10), secrets.token_urlsafe(30))
        write_private(site.folder, folder / "s3.yaml", made)
    if operator is None:
        return
    for name, (deployment, namespace) in IMAGES.items():
        target = folder / name / "kustomization.yaml"
        base = PLATFORM / name
        made = image_kustomization(target.parent, base, deployment, namespace, operator)
        write_private(site.folder, target, made)


async def install(site: Site, part: Part) -> None:
    """Make a part's calls. Raises ``DependencyError`` with what the failed one said."""
    within = site.platform.waits.services.seconds + GRACE
    for call in part.calls:
        program = Program(find(call.program, HINTS[call.program]))
        site.progress.say(call.summary)
        answer = await program.run(call.arguments, within)
        if not answer.ok:
            said = " ".join((answer.error or answer.output).split())
            raise DependencyError(
                "ServiceFailed",
                f"{part.title}: {call.program} failed: {said}; see kubectl --kubeconfig"
                f" {site.folder.kubeconfig} get pods,events -A, and run the command again",
            )
        if call.shown:
            for line in answer.output.splitlines():
                site.progress.say(line)
