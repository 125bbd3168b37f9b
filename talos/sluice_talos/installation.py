"""What is installed into the cluster, and by which calls. Nothing is done here."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

import yaml

from sluice_talos.folder import Folder
from sluice_talos.platform import Operator, Platform, Service
from sluice_talos.sources import MANIFESTS

PLATFORM: Final = MANIFESTS / "platform"
SPREAD: Final = 3
"""Nodes that carry work from which on Redpanda and Postgres are copied three times."""


@dataclass(frozen=True)
class Call:
    """A program and its arguments; none of them is a secret. ``shown``: people see its output."""

    program: str
    arguments: tuple[str, ...]
    shown: bool = False

    @property
    def summary(self) -> str:
        """The call in a line, without what is the same in all of them."""
        told = [part for part in self.arguments if not part.startswith("--")][1:]
        return shorten(" ".join([self.program, *told]), 90, placeholder=" …")


@dataclass(frozen=True)
class Part:
    """A service, or the first job."""

    title: str
    why: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Chart:
    """A Helm chart that installs an operator."""

    release: str
    namespace: str
    repository: str
    name: str
    version: str


REDPANDA: Final = Chart(
    "redpanda-operator", "redpanda", "https://charts.redpanda.com", "operator", "26.2.2"
)
POSTGRES: Final = Chart(
    "cnpg", "cnpg-system", "https://cloudnative-pg.github.io/charts", "cloudnative-pg", "0.26.0"
)


def installation(platform: Platform, folder: Folder) -> tuple[Part, ...]:
    """Return the parts that the platform wants, in order."""
    return tuple(_parts(platform, folder))


def _parts(platform: Platform, folder: Folder) -> Iterator[Part]:
    calls = Calls(folder, f"{platform.waits.services.seconds:.0f}s")
    size = copies(platform)
    found = {
        Service.STORAGE: Part(
            "storage",
            "the default storage class, on the nodes' data volumes",
            (
                calls.apply(PLATFORM / "storage"),
                calls.rolled_out("local-path-storage", "deployment/local-path-provisioner"),
            ),
        ),
        Service.REDPANDA: Part(
            "Redpanda",
            f"by its operator; brokers: {size}",
            (
                calls.chart(REDPANDA, PLATFORM / "redpanda" / "operator-values.yaml"),
                calls.apply(PLATFORM / "redpanda" / size),
                *calls.appeared("redpanda", "statefulset/redpanda"),
            ),
        ),
        Service.POSTGRES: Part(
            "Postgres",
            f"by CloudNativePG; instances: {size}",
            (
                calls.chart(POSTGRES, PLATFORM / "postgres" / "operator-values.yaml"),
                calls.apply(PLATFORM / "postgres" / size),
                calls.wait("ingestion", "cluster.postgresql.cnpg.io/warehouse", "condition=Ready"),
            ),
        ),
        Service.REDIS: Part(
            "Redis",
            "for what processes tell each other",
            (
                calls.apply(PLATFORM / "redis"),
                calls.rolled_out("sluice-system", "statefulset/redis"),
            ),
        ),
        Service.S3: Part(
            "S3",
            "SeaweedFS; its keys are made once, in the folder",
            (
                calls.apply(PLATFORM / "s3" / "namespace.yaml"),
                calls.apply(folder.services / "s3.yaml"),
                calls.apply(PLATFORM / "s3"),
                calls.rolled_out("s3", "statefulset/seaweedfs"),
            ),
        ),
        Service.OPERATOR: Part(
            "the Sluice operator",
            f"image {platform.operator.image if platform.operator else 'unknown'}",
            (
                calls.apply(folder.services / "operator"),
                calls.wait("", "crd/ingestionjobs.sluice.dev", "condition=Established"),
                calls.rolled_out("sluice-system", "deployment/sluice-operator"),
            ),
        ),
    }
    yield from (found[service] for service in Service if service in platform.services)
    if Service.OPERATOR in platform.services:
        yield _first_job(calls, folder)


def _first_job(calls: "Calls", folder: Folder) -> Part:
    phase = "jsonpath={.status.phase}=Completed"
    return Part(
        "the first job",
        "three users, from an API in the cluster into the table public.users",
        (
            calls.apply(folder.services / "first-job"),
            calls.wait("ingestion", "ingestionjob/users", phase),
            calls.rows(),
        ),
    )


def copies(platform: Platform) -> str:
    """Tell how many copies of brokers and databases the nodes can carry apart from each other."""
    carrying = platform.workers or platform.nodes
    return "three" if len(carrying) >= SPREAD else "one"


@dataclass(frozen=True)
class Calls:
    """Makes calls for one cluster; ``within`` is how long each may wait."""

    folder: Folder
    within: str

    def kubectl(self, *arguments: str, shown: bool = False) -> Call:
        """Call kubectl as the cluster's administrator."""
        config = ("--kubeconfig", str(self.folder.kubeconfig))
        return Call("kubectl", (*config, *arguments), shown)

    def apply(self, path: Path) -> Call:
        """Apply a file, or what a folder's kustomization makes."""
        kind = "--filename" if path.suffix else "--kustomize"
        return self.kubectl("apply", "--server-side", "--force-conflicts", kind, str(path))

    def rolled_out(self, namespace: str, workload: str) -> Call:
        """Wait until a workload's pods are ready."""
        timeout = f"--timeout={self.within}"
        return self.kubectl("rollout", "status", workload, f"--namespace={namespace}", timeout)

    def appeared(self, namespace: str, workload: str) -> tuple[Call, Call]:
        """Wait for a workload that an operator makes, then for its pods."""
        return self.wait(namespace, workload, "create"), self.rolled_out(namespace, workload)

    def wait(self, namespace: str, what: str, reached: str) -> Call:
        """Wait until an object is as it should be."""
        where = (f"--namespace={namespace}",) if namespace else ()
        return self.kubectl("wait", what, *where, f"--for={reached}", f"--timeout={self.within}")

    def rows(self) -> Call:
        """Show the first job's rows."""
        psql = ("psql", "--dbname=app", "--command=select * from public.users order by user_id")
        pod = ("exec", "--namespace=ingestion", "warehouse-1", "--container=postgres", "--")
        return self.kubectl(*pod, *psql, shown=True)

    def chart(self, chart: Chart, values: Path) -> Call:
        """Install a chart, or bring it up to date."""
        return Call(
            "helm",
            (
                *("--kubeconfig", str(self.folder.kubeconfig)),
                *("upgrade", "--install", chart.release, chart.name),
                *("--repo", chart.repository, "--version", chart.version),
                *("--namespace", chart.namespace, "--create-namespace"),
                *("--values", str(values), "--wait", "--timeout", self.within),
            ),
        )


def image_kustomization(
    folder: Path, base: Path, deployment: str, namespace: str, operator: Operator
) -> str:
    """Write a kustomization that runs a deployment, and the workers, on the user's image."""
    environment = [{"name": "SLUICE_WORKER_IMAGE", "value": operator.image}]
    is_operator = deployment == "sluice-operator"
    container: dict[str, Any] = {
        "name": "operator" if is_operator else "server",
        "image": operator.image,
        **({"env": environment} if is_operator else {}),
    }
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": deployment, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # kustomize takes no absolute paths.
        "resources": [os.path.relpath(base.resolve(), folder.resolve())],
        "patches": [{"patch": yaml.safe_dump(patch, sort_keys=False)}],
    }
    return yaml.safe_dump(content, sort_keys=False)


def s3_secret(access_key: str, secret_key: str) -> str:
    """Write the Secret with SeaweedFS's settings: one identity that may do everything."""
    identity = {
        "name": "admin",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s3", "namespace": "s3"},
        "stringData": {"s3.json": json.dumps({"identities": [identity]})},
    }
    return yaml.safe_dump(secret, sort_keys=False)
