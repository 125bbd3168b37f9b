"""A namespace of a real API server, and the API as the operator sees it there."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

from integration.conftest import address
from sluice_dev import cluster as clusters
from sluice_dev.install import render
from sluice_dev.paths import PROJECT
from sluice_dev.target import Kubectl, Target
from sluice_operator.kube import Kubernetes

ONE_NAMESPACE = PROJECT / "manifests" / "overlays" / "one-namespace"


def apply_access(where: Target) -> None:
    """Apply the RBAC of an installation in one namespace."""
    for found in yaml.safe_load_all(render(where, ONE_NAMESPACE, where.jobs, [])):
        if found["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            where.kubectl.apply(yaml.safe_dump(found))


@pytest.fixture
def where() -> Iterator[Target]:
    """A namespace of the test's own."""
    cluster = clusters.running(address("SLUICE_TEST_CLUSTER"))
    kubectl = Kubectl((str(cluster.kubectl_path),), cluster.environment)
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield Target(kubectl, "", name, local=False, shown="kubectl")
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def administrator(where: Target) -> AsyncIterator[Kubernetes]:
    """The API without bounds."""
    await config.load_kube_config(where.kubectl.environment["KUBECONFIG"])
    async with ApiClient() as client:
        kubernetes = Kubernetes(client)
        await kubernetes.open()
        yield kubernetes


@pytest.fixture
async def operator(where: Target) -> AsyncIterator[Kubernetes]:
    """The API as the operator's service account in that namespace sees it."""
    await config.load_kube_config(where.kubectl.environment["KUBECONFIG"])
    async with ApiClient() as client:
        account = f"system:serviceaccount:{where.jobs}:sluice-operator"
        client.set_default_header("Impersonate-User", account)
        client.set_default_header("Impersonate-Group", "system:authenticated")
        kubernetes = Kubernetes(client)
        await kubernetes.open()
        yield kubernetes
