"""The Kubernetes API, as the operator needs it."""

import base64
import json
import logging
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

from sluice_api import names
from sluice_api.errors import ConfigurationError, DependencyError
from sluice_operator.observed import Object

JOBS: Final = (f"{names.GROUP}/{names.VERSION}", names.KIND)
_VERSIONS: Final = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "Pod": "v1",
    "Node": "v1",
    "Event": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "Lease": "coordination.k8s.io/v1",
    names.KIND: JOBS[0],
}
WATCHED: Final = (names.KIND, "Deployment", "Job")
_LOG: Final = logging.getLogger(__name__)
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class NamespaceGoneError(Exception):
    """Nothing new can be made in a namespace: it is being deleted, or gone."""


class Kubernetes:
    """Reads and writes objects as JSON; what does not exist is None, not an error."""

    def __init__(self, client: ApiClient) -> None:
        self._client = DynamicClient(client)
        self._kinds: dict[str, Any] = {}

    async def open(self) -> None:
        """Discover the API's resources. Must be called once before anything else."""
        await self._client

    async def require_access(self, namespace: str | None) -> None:
        """Make sure that what is to be watched can be, in one namespace or in all.

        Raises ``ConfigurationError`` that names what the cluster lacks or forbids.
        """
        for kind in WATCHED:
            try:
                await self.list_objects(kind, namespace, limit=1)
            except ResourceNotFoundError as error:
                raise ConfigurationError(
                    f"the cluster knows no {kind} of {_VERSIONS[kind]}: apply the"
                    " CustomResourceDefinition (kubectl apply --server-side -k crds)"
                ) from error
            except (ApiException, DynamicApiError) as error:
                if error.status != _FORBIDDEN:
                    raise
                where = f"in namespace {namespace}" if namespace else "in all namespaces"
                raise ConfigurationError(
                    f"the operator's service account may not list {kind} {where}: apply the RBAC"
                    " of manifests/base/operator, its binding in the operator's namespace"
                ) from error

    async def _kind(self, kind: str) -> Any:
        if kind not in self._kinds:
            found = await self._client.resources.get(api_version=_VERSIONS[kind], kind=kind)
            self._kinds[kind] = found
        return self._kinds[kind]

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""
        try:
            found = await self._client.get(await self._kind(kind), name=name, namespace=namespace)
        except (ApiException, DynamicApiError) as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return _plain(found)

    async def list_objects(
        self, kind: str, namespace: str | None, labels: str = "", limit: int | None = None
    ) -> list[Object]:
        """Return the objects with these labels, ``limit`` of them at most."""
        options: dict[str, Any] = {"label_selector": labels} if labels else {}
        if limit is not None:
            options["limit"] = limit
        found = await self._client.get(await self._kind(kind), namespace=namespace, **options)
        return list(_plain(found)["items"])

    async def apply(self, body: Object) -> Object:
        """Apply an object by server-side apply; fields that others set against ours are taken.

        Raises ``DependencyError`` with the API server's words when it refuses the object.
        """
        kind, metadata = body["kind"], body["metadata"]
        try:
            found = await self._client.server_side_apply(
                await self._kind(kind),
                body=body,
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                field_manager=names.FIELD_MANAGER,
                force_conflicts=True,
            )
        except (ApiException, DynamicApiError) as error:
            message = f"{kind} {metadata['name']} is refused by the API server: {_said(error)}"
            raise DependencyError("ObjectRefused", message) from error
        return _plain(found)

    async def create(self, body: Object) -> None:
        """Create an object. Raises ``NamespaceGoneError`` where its namespace is being deleted."""
        namespace = body["metadata"]["namespace"]
        try:
            await self._client.create(
                await self._kind(body["kind"]), body=body, namespace=namespace
            )
        except (ApiException, DynamicApiError) as error:
            if error.status == _NOT_FOUND or "NamespaceTerminating" in str(error.body):
                raise NamespaceGoneError from error
            raise

    async def replace(self, body: Object) -> None:
        """Replace an object, if it is still of the ``resourceVersion`` that the body names."""
        metadata = body["metadata"]
        await self._client.replace(
            await self._kind(body["kind"]),
            body=body,
            name=metadata["name"],
            namespace=metadata["namespace"],
        )

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, what it owns in the background; none there is well."""
        body = {"propagationPolicy": "Background"}
        try:
            await self._client.delete(
                await self._kind(kind), name=name, namespace=namespace, body=body
            )
        except (ApiException, DynamicApiError) as error:
            if error.status != _NOT_FOUND:
                raise

    async def patch_status(self, job: names.JobName, status: Object) -> None:
        """Replace the status of a job; a job that is gone has none."""
        await self._patch_job(job, {"status": status}, subresource="status")

    async def patch_spec(self, job: names.JobName, spec: Object, version: str) -> bool:
        """Change a part of a job's spec; return False when it is not of this version any more."""
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        try:
            await self._patch_job(job, body)
        except (ApiException, DynamicApiError) as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True

    async def patch_finalizers(self, job: names.JobName, finalizers: list[str]) -> None:
        """Replace the finalizers of a job."""
        await self._patch_job(job, {"metadata": {"finalizers": finalizers}})

    async def _patch_job(self, job: names.JobName, body: Object, **options: str) -> None:
        kind = await self._kind(names.KIND)
        resource = kind.subresources[options["subresource"]] if options else kind
        try:
            await self._client.patch(
                resource,
                body=body,
                name=job.name,
                namespace=job.namespace,
                content_type="application/merge-patch+json",
                field_manager=names.FIELD_MANAGER,
            )
        except (ApiException, DynamicApiError) as error:
            if error.status != _NOT_FOUND:
                raise

    async def event(self, job: Object, reason: str, message: str, *, warning: bool) -> None:
        """Record an event about a job: for people, so a failure is only logged."""
        metadata, now = job["metadata"], datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        involved = {key: metadata[key] for key in ("name", "namespace", "uid")}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{uuid4().hex[:12]}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": involved | {"apiVersion": JOBS[0], "kind": JOBS[1]},
            "reason": reason,
            "message": message[:1000],
            "type": "Warning" if warning else "Normal",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": "sluice-operator"},
        }
        try:
            await self.create(body)
        except (NamespaceGoneError, ApiException, DynamicApiError) as error:
            about = f"{metadata['namespace']}/{metadata['name']}"
            _LOG.info("no event: %s", error, extra={"job": about})


def _said(error: Any) -> str:
    """Return the API server's message, or what stands for it."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.reason or error.status)


def decoded(secret: Object) -> dict[str, str]:
    """Return a Secret's data as text."""
    data = secret.get("data") or {}
    return {
        key: base64.b64decode(value).decode(errors="replace").strip() for key, value in data.items()
    }


def _plain(found: Any) -> Object:
    content: Object = found.to_dict()
    return content
