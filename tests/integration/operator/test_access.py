"""The RBAC of the manifests, against a real API server."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

from integration.conftest import address
from sluice_api.errors import ConfigurationError
from sluice_dev import cluster as clusters
from sluice_dev.install import render
from sluice_dev.paths import PROJECT
from sluice_dev.target import Kubectl, Target
from sluice_operator.kube import Kubernetes

ONE_NAMESPACE = PROJECT / "manifests" / "overlays" / "one-namespace"


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


async def test_an_installation_in_one_namespace_may_watch_that_one_alone(
    where: Target, operator: Kubernetes
) -> None:
    with pytest.raises(ConfigurationError, match=f"may not list .* in namespace {where.jobs}"):
        await operator.require_access(where.jobs)
    rendered = list(yaml.safe_load_all(render(where, ONE_NAMESPACE, where.jobs, [])))
    for found in rendered:
        if found["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            where.kubectl.apply(yaml.safe_dump(found))
    await operator.require_access(where.jobs)
    with pytest.raises(ConfigurationError, match="in all namespaces"):
        await operator.require_access(None)


def test_every_binding_is_for_the_service_account_of_its_own_namespace(where: Target) -> None:
    rendered = yaml.safe_load_all(render(where, ONE_NAMESPACE, where.jobs, []))
    subjects = [each for found in rendered for each in found.get("subjects", ())]
    assert [each["namespace"] for each in subjects] == [where.jobs, where.jobs]
