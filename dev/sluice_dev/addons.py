"""What every cluster has once its API answers: DNS, a storage class and volumes for it."""

from typing import Any, Final

import yaml

from sluice_dev import images
from sluice_dev.layout import Layout

VOLUMES: Final = 16
"""Local volumes made in advance; each is bound to one claim."""

_COREFILE: Final = """.:53 {
    errors
    health :8081
    ready :8181
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
"""


def manifests(layout: Layout) -> str:
    """Return the YAML of everything that ``up`` applies."""
    return yaml.safe_dump_all([*_dns(layout), _storage_class(), *_volumes(layout)])


def _object(kind: str, name: str, api_version: str = "v1", **content: Any) -> dict[str, Any]:
    metadata = {"name": name} | content.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _dns(layout: Layout) -> list[dict[str, Any]]:
    space = {"namespace": "kube-system"}
    rbac = "rbac.authorization.k8s.io/v1"
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"}
    subject = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    service = {
        "selector": {"k8s-app": "kube-dns"},
        "clusterIP": layout.dns_address,
        "ports": ports,
    }
    return [
        _object("ServiceAccount", "coredns", metadata=space),
        _object("ClusterRole", "coredns", rbac, rules=rules),
        _object("ClusterRoleBinding", "coredns", rbac, roleRef=reference, subjects=[subject]),
        _object("ConfigMap", "coredns", metadata=space, data={"Corefile": _COREFILE}),
        _object("Service", "kube-dns", metadata=space, spec=service),
        _object("Deployment", "coredns", "apps/v1", metadata=space, spec=_dns_deployment()),
    ]


def _dns_deployment() -> dict[str, Any]:
    labels = {"k8s-app": "kube-dns"}
    container = {
        "name": "coredns",
        "image": images.COREDNS,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "53"}],
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}


def _storage_class() -> dict[str, Any]:
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    return _object(
        "StorageClass",
        "local",
        "storage.k8s.io/v1",
        metadata=default,
        provisioner="kubernetes.io/no-provisioner",
        volumeBindingMode="WaitForFirstConsumer",
    )


def volume_folders(layout: Layout) -> list[str]:
    """List the folders of the local volumes."""
    return [f"{layout.state}/volumes/{number}" for number in range(VOLUMES)]


def _volumes(layout: Layout) -> list[dict[str, Any]]:
    here = {
        "key": "kubernetes.io/hostname",
        "operator": "In",
        "values": [layout.namespace],
    }
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    return [
        _object(
            "PersistentVolume",
            f"local-{number}",
            spec={
                "capacity": {"storage": "20Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "local",
                "local": {"path": folder},
                "nodeAffinity": affinity,
            },
        )
        for number, folder in enumerate(volume_folders(layout))
    ]
