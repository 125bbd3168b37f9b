"""kopf's part: it watches, and what it sees wakes the work queue.

Only event handlers: they put no annotation and no finalizer on anybody's object, and what is done
depends on what is there, never on which event told of it.
"""

from typing import Any

import kopf

from sluice_api import names
from sluice_api.names import JobName
from sluice_operator.queue import WorkQueue


def registry(queue: WorkQueue) -> kopf.OperatorRegistry:
    """Return the handlers that wake a queue."""
    found = kopf.OperatorRegistry()

    known: dict[JobName, object] = {}

    async def job_changed(namespace: str | None, name: str | None, meta: Any, **_: Any) -> None:
        # A change of the status is our own: it would wake us for ever.
        job = JobName(namespace or "", name or "")
        asked = (meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"))
        if known.get(job) != asked:
            known[job] = asked
            queue.wake(job)

    async def owned_changed(namespace: str | None, labels: Any, **_: Any) -> None:
        queue.wake(JobName(namespace or "", labels[names.JOB_LABEL]))

    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        in_cluster = kopf.login_with_service_account(**arguments)
        return in_cluster or kopf.login_with_kubeconfig(**arguments)

    kopf.on.login(registry=found)(login)
    kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=found)(job_changed)
    ours = {names.JOB_LABEL: kopf.PRESENT}
    for group, version, plural in (("apps", "v1", "deployments"), ("batch", "v1", "jobs")):
        kopf.on.event(group, version, plural, labels=ours, registry=found)(owned_changed)
    return found


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: it posts nothing, and asks for no right that is not needed."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.scanning.disabled = True
    found.peering.standalone = True
    found.watching.server_timeout = 300
    found.watching.connect_timeout = 10
    return found
