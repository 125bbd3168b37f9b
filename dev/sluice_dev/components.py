"""The node's components: the command and the configuration of each, from the layout alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sluice_dev import images
from sluice_dev.layout import Layout

CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"


@dataclass(frozen=True, slots=True)
class Component:
    """A process of the node."""

    name: str
    command: Sequence[str]


def components(layout: Layout, kubernetes: Path) -> list[Component]:
    """List the node's processes in the order in which they start."""
    pki = layout.state / "pki"
    found = [
        Component("containerd", ["containerd", f"--config={layout.state}/containerd.toml"]),
        Component("etcd", _etcd(layout.state)),
        Component("kube-apiserver", _apiserver(layout, pki)),
        Component("kube-controller-manager", _controller_manager(layout, pki)),
        Component("kube-scheduler", _scheduler(pki)),
        Component("kubelet", _kubelet(layout, pki)),
        Component("kube-proxy", ["kube-proxy", f"--config={layout.state}/kube-proxy.yaml"]),
    ]
    return [_absolute(component, kubernetes) for component in found]


def _absolute(component: Component, kubernetes: Path) -> Component:
    program, *arguments = component.command
    if program.startswith("kube"):
        program = str(kubernetes / program)
    return Component(component.name, [program, *arguments])


def _etcd(state: Path) -> list[str]:
    return [
        "etcd",
        f"--data-dir={state}/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    ]


def _apiserver(layout: Layout, pki: Path) -> list[str]:
    return [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={layout.node_address}",
        f"--service-cluster-ip-range={layout.service_network}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki}/service-account.key",
        f"--service-account-signing-key-file={pki}/service-account.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    ]


def _controller_manager(layout: Layout, pki: Path) -> list[str]:
    return [
        "kube-controller-manager",
        f"--kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--authentication-kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--authorization-kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-account.key",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        f"--cluster-cidr={layout.pod_network}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def _scheduler(pki: Path) -> list[str]:
    return [
        "kube-scheduler",
        f"--kubeconfig={pki}/kube-scheduler.kubeconfig",
        f"--authentication-kubeconfig={pki}/kube-scheduler.kubeconfig",
        f"--authorization-kubeconfig={pki}/kube-scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def _kubelet(layout: Layout, pki: Path) -> list[str]:
    return [
        "kubelet",
        f"--config={layout.state}/kubelet.yaml",
        f"--kubeconfig={pki}/kubelet.kubeconfig",
        f"--hostname-override={layout.namespace}",
        f"--node-ip={layout.node_address}",
    ]


def configuration(layout: Layout, debian: Path) -> dict[str, str]:
    """Return the components' configuration files by name."""
    return {
        "containerd.toml": _containerd(layout.state, debian),
        "kubelet.yaml": yaml.safe_dump(_kubelet_configuration(layout)),
        "kube-proxy.yaml": yaml.safe_dump(_proxy_configuration(layout)),
        "cni/10-sluice.conflist": json.dumps(_network(layout)),
        "resolv.conf": (
            f"nameserver {layout.dns_address}\n"
            "search svc.cluster.local cluster.local\noptions ndots:2\n"
        ),
        "pod-resolv.conf": "",
    }


def _containerd(state: Path, debian: Path) -> str:
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{debian}/usr/lib/cni"
conf_dir = "{state}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _kubelet_configuration(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.state}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.namespace}",
        "clusterDNS": [layout.dns_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "resolvConf": f"{layout.state}/pod-resolv.conf",
        "evictionHard": {"memory.available": "100Mi"},
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
        "serializeImagePulls": False,
        "registerNode": True,
    }


def _proxy_configuration(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{layout.state}/pki/kube-proxy.kubeconfig"},
        "mode": "nftables",
        "clusterCIDR": layout.pod_network,
        "hostnameOverride": layout.namespace,
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _network(layout: Layout) -> dict[str, Any]:
    """Point-to-point links: a reply between two pods then always passes kube-proxy's rules."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": layout.pod_network}]]}
    route = {"routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "0.4.0",
        "name": "sluice",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses | route},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
