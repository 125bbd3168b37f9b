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
OURS: Final = {"app.kubernetes.io/part-of": "sluice-dev"}
"""The label of the namespaces that are made here, and may be removed here."""
NODES_ROLE: Final = "sluice-operator-nodes"
HOPELESS: Final = frozenset(
    {"CrashLoopBackOff", "ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"}
)
"""What a container waits for when waiting longer does not help."""
ROLLOUT: Final = 300
"""Seconds that a workload may take to become ready, its image pulled if need be."""


def install(target: Target, progress: Progress) -> None:
    """Apply everything and wait until it is ready; what is there already is brought up to date."""
    with progress.step(f"applying the operator and its services to namespace {target.system}"):
        if not target.local:
            _refuse_foreign_namespace(target)
            _apply_definition(target)
        _apply_namespaces(target)
        _apply_secrets(target)
        target.kubectl.apply(_manifests(target))
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


def _manifests(target: Target) -> str:
    overlays = PROJECT / "manifests" / "overlays"
    worker_image = {"name": "SLUICE_WORKER_IMAGE", "value": target.image}
    container = {"name": "operator", "image": target.image, "env": [worker_image]}
    image = image_patch("sluice-operator", container)
    if target.local:
        return render(target, overlays / "local", target.system, [image])
    renamed = {
        "target": {"kind": "ClusterRole|ClusterRoleBinding", "name": NODES_ROLE},
        "patch": json.dumps(
            [{"op": "replace", "path": "/metadata/name", "value": _nodes_role(target)}]
        ),
        "options": {"allowNameChange": True},
    }
    return render(target, overlays / "one-namespace", target.system, [image, renamed])


def _nodes_role(target: Target) -> str:
    return f"{NODES_ROLE}-{target.system}"


def uninstall(target: Target) -> None:
    """Remove what `install` brought into a user's cluster, except the CustomResourceDefinition."""
    _refuse_foreign_namespace(target)
    delete = ("delete", "--ignore-not-found")
    namespace = f"--namespace={target.jobs}"
    target.kubectl(*delete, "ingestionjobs", "--all", namespace, "--timeout=120s", timeout=150)
    role = _nodes_role(target)
    target.kubectl(*delete, f"clusterrole/{role}", f"clusterrolebinding/{role}")
    target.kubectl(*delete, f"namespace/{target.jobs}", timeout=300)


def render(target: Target, folder: Path, namespace: str, patches: list[dict[str, Any]]) -> str:
    """Render a folder of manifests for a namespace, with kustomize patches on top."""
    with tempfile.TemporaryDirectory() as temporary:
        overlay = Path(temporary).resolve()
        content = {
            "namespace": namespace,
            "resources": [os.path.relpath(folder, overlay)],
            "patches": patches,
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return target.kubectl("kustomize", str(overlay))


def image_patch(deployment: str, container: dict[str, Any]) -> dict[str, Any]:
    """Return the kustomize patch of a Deployment that changes the container that is named."""
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return {"patch": json.dumps(patch)}


def _apply_namespaces(target: Target) -> None:
    for name in {target.system, target.jobs}:
        metadata = {"name": name, "labels": RESTRICTED | OURS}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        target.kubectl.apply(json.dumps(namespace))


def _refuse_foreign_namespace(target: Target) -> None:
    """Raise ``ClusterError`` when a user's cluster has the namespace for something else."""
    labels = "--output=jsonpath={.metadata.labels}"
    arguments = ("get", "namespace", target.jobs, "--ignore-not-found", labels)
    found = target.kubectl(*arguments)
    if found and not OURS.items() <= json.loads(found).items():
        raise ClusterError(
            f"namespace {target.jobs} is there already and was not made by this command: it is"
            " left alone. Remove it, or use another cluster."
        )


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
