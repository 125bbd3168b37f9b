"""Bringing the operator and its backing services into a cluster."""

import json
import os
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from sluice_dev.errors import ClusterError
from sluice_dev.paths import PROJECT
from sluice_dev.progress import Progress
from sluice_dev.target import Target

CRD: Final = PROJECT / "crds" / "ingestionjob.yaml"
SERVICES: Final = ("statefulset/kafka", "statefulset/postgres", "statefulset/redis")
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
HOPELESS: Final = frozenset(
    {"CrashLoopBackOff", "ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"}
)
"""What a container waits for when waiting longer does not help."""
ROLLOUT: Final = 300
"""Seconds that a workload may take to become ready, its image pulled if need be."""


def install(target: Target, progress: Progress) -> None:
    """Apply everything and wait until it is ready; what is there already is brought up to date."""
    with progress.step(f"applying the operator and its services to namespace {target.system}"):
        _apply_namespaces(target)
        _apply_secrets(target)
        if not target.local:
            _apply_definition(target)
        overlay = "local" if target.local else "one-namespace"
        folder = PROJECT / "manifests" / "overlays" / overlay
        patch = _operator_patch(target.image)
        target.kubectl.apply(render(target, folder, target.system, patch))
        target.kubectl("wait", "--for=condition=Established", f"--filename={CRD}")
    for workload in (*SERVICES, "deployment/sluice-operator"):
        wait_ready(target, target.system, workload, progress)


def wait_ready(target: Target, namespace: str, workload: str, progress: Progress) -> None:
    """Wait for a workload's rollout.

    Raises ``ClusterError`` with what its pods say, at once when waiting cannot help.
    """
    deadline = time.monotonic() + ROLLOUT
    status = ("rollout", "status", workload, f"--namespace={namespace}", "--timeout=5s")
    with progress.step(f"waiting for {workload}"):
        while True:
            try:
                target.kubectl(*status)
            except ClusterError as error:
                if time.monotonic() > deadline or _hopeless(target, namespace):
                    raise ClusterError(_diagnosis(target, namespace, workload)) from error
            else:
                return


def _hopeless(target: Target, namespace: str) -> bool:
    reasons = "{.items[*].status.containerStatuses[*].state.waiting.reason}"
    found = target.kubectl("get", "pods", f"-n{namespace}", f"--output=jsonpath={reasons}")
    return not HOPELESS.isdisjoint(found.split())


def _diagnosis(target: Target, namespace: str, workload: str) -> str:
    found = [f"{workload} in namespace {namespace} does not become ready:"]
    for arguments in (
        ("get", "pods"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", workload, "--tail=20"),
    ):
        with suppress(ClusterError):
            found.append(target.kubectl(*arguments, f"-n{namespace}"))
    return "\n".join(found)


def render(target: Target, folder: Path, namespace: str, *patches: dict[str, Any]) -> str:
    """Render a folder of manifests for a namespace, with patches on top."""
    with tempfile.TemporaryDirectory() as temporary:
        overlay = Path(temporary).resolve()
        content = {
            "namespace": namespace,
            "resources": [os.path.relpath(folder, overlay)],
            "patches": [{"patch": json.dumps(patch)} for patch in patches],
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return target.kubectl("kustomize", str(overlay))


def image_patch(deployment: str, container: dict[str, Any]) -> dict[str, Any]:
    """Return the patch of a Deployment that changes fields of the container that is named."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def _operator_patch(image: str) -> dict[str, Any]:
    worker_image = {"name": "SLUICE_WORKER_IMAGE", "value": image}
    container = {"name": "operator", "image": image, "env": [worker_image]}
    return image_patch("sluice-operator", container)


def _apply_namespaces(target: Target) -> None:
    for name in {target.system, target.jobs}:
        metadata = {"name": name, "labels": RESTRICTED}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        target.kubectl.apply(json.dumps(namespace))


def _apply_secrets(target: Target) -> None:
    """Make the database's password once, and the Secret by which jobs find the database."""
    found = target.kubectl(
        "get", "secret", "postgres", f"--namespace={target.system}", "--ignore-not-found",
        "--output=go-template={{.data.password | base64decode}}",
    )  # fmt: skip
    password = found or secrets.token_urlsafe(24)
    uri = f"postgresql://sluice:{password}@postgres.{target.system}.svc:5432/warehouse"
    _apply_secret(target, target.system, "postgres", {"password": password})
    _apply_secret(target, target.jobs, "warehouse", {"uri": uri})


def _apply_secret(target: Target, namespace: str, name: str, data: dict[str, str]) -> None:
    metadata = {"name": name, "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    target.kubectl.apply(json.dumps(secret))


def _apply_definition(target: Target) -> None:
    """Create the CustomResourceDefinition in a user's cluster; never change one that is there."""
    name = "customresourcedefinition/ingestionjobs.sluice.dev"
    if not target.kubectl("get", name, "--ignore-not-found", "--output=name"):
        target.kubectl("apply", "--server-side", f"--filename={CRD}")
        return
    try:
        target.kubectl("diff", "--server-side", "--force-conflicts", f"--filename={CRD}")
    except ClusterError as error:
        raise ClusterError(
            "this cluster has another version of the CustomResourceDefinition"
            " ingestionjobs.sluice.dev, which is left as it is: use a cluster without Sluice, or"
            f" one with this version.\n{error}"
        ) from error
