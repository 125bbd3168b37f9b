"""Calling kubectl and helm for what is installed into the cluster."""

from sluice_api.errors import DependencyError
from sluice_talos.installation import Part
from sluice_talos.site import Site
from sluice_talos.talosctl import Program, find

HINTS = {
    "kubectl": "install the kubectl of your Kubernetes version",
    "helm": "install Helm 3, or leave redpanda and postgres out of services",
}


async def install(site: Site, part: Part) -> None:
    """Make a part's calls. Raises ``DependencyError`` with what the failed one said."""
    for call in part.calls:
        program = Program(find(call.program, HINTS[call.program]))
        within = site.platform.waits.services.seconds + 30
        answer = await program.run(call.arguments, within)
        if not answer.ok:
            said = " ".join((answer.error or answer.output).split())
            raise DependencyError("ServiceFailed", f"{part.title}: {call.program} failed: {said}")
