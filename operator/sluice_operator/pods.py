"""What keeps pods from being made and from running, read from status; pure."""

from typing import Any, Final

from sluice_operator.observed import Object
from sluice_workers.state import Trouble

CRASHES: Final = 2
"""Restarts after which a container that is not ready counts as one that cannot be."""
_STUCK: Final = {
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
}


def pod_troubles(pod: Object) -> list[Trouble]:
    """Tell what keeps a pod from running, as the scheduler and the kubelet say."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    found = [
        Trouble(reason="Unschedulable", message=f"pod {name}: {condition.get('message', '')}")
        for condition in status.get("conditions", ())
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
    ]
    for container in status.get("containerStatuses", ()):
        waiting: dict[str, Any] = container.get("state", {}).get("waiting") or {}
        last: dict[str, Any] = container.get("lastState", {}).get("terminated") or {}
        reason = "CrashLoopBackOff" if _crashes(container, last) else waiting.get("reason")
        if reason in _STUCK:
            said = last.get("message", "").strip().splitlines()
            words = said[-1] if said else waiting.get("message", "it ends soon after its start")
            found.append(Trouble(reason=reason, message=f"pod {name}: {words}"[:1000]))
    return found


def refused_pods(deployment: Object) -> list[Trouble]:
    """Tell why no pod can be made, by a quota or a policy for instance, as its Deployment says."""
    name = deployment["metadata"]["name"]
    return [
        Trouble(reason="PodsRefused", message=f"{name}: {condition.get('message', '')}"[:1000])
        for condition in deployment.get("status", {}).get("conditions", ())
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    ]


def _crashes(container: Object, last: Object) -> bool:
    """Whether a container fails again and again; while it tries once more nothing else says so."""
    again = container.get("restartCount", 0) >= CRASHES
    return again and not container.get("ready") and last.get("exitCode", 0) != 0
