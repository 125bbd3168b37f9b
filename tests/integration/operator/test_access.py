"""The RBAC of the manifests, against a real API server."""

import pytest
import yaml

from integration.operator.conftest import ONE_NAMESPACE, apply_access
from sluice_api.errors import ConfigurationError
from sluice_dev.install import render
from sluice_dev.target import Target
from sluice_operator.kube import Kubernetes


async def test_an_installation_in_one_namespace_may_watch_that_one_alone(
    where: Target, operator: Kubernetes
) -> None:
    with pytest.raises(ConfigurationError, match=f"may not list .* in namespace {where.jobs}"):
        await operator.require_access(where.jobs)
    apply_access(where)
    await operator.require_access(where.jobs)
    with pytest.raises(ConfigurationError, match="in all namespaces"):
        await operator.require_access(None)


def test_every_binding_is_for_the_service_account_of_its_own_namespace(where: Target) -> None:
    rendered = yaml.safe_load_all(render(where, ONE_NAMESPACE, where.jobs, []))
    subjects = [each for found in rendered for each in found.get("subjects", ())]
    assert [each["namespace"] for each in subjects] == [where.jobs, where.jobs]
