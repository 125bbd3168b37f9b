"""A cluster's life: up, down, and what is there in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from sluice_dev import addons, binaries, cgroups, components, images, network, pki
from sluice_dev.artifacts import locked
from sluice_dev.errors import ClusterError
from sluice_dev.layout import Layout, check_name, free_slot
from sluice_dev.paths import DEV, cache_folder
from sluice_dev.processes import run
from sluice_dev.progress import Progress

READY_TIMEOUT: Final = 60.0
"""Seconds that each part of the cluster may take to answer."""


class Cluster:
    """A local cluster that runs, or its remains."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    def pid(self) -> int | None:
        """The node's first process, as the host sees it, when it runs."""
        file = self.layout.state / "pid"
        if not file.is_file():
            return None
        pid, started = (int(word) for word in file.read_text().split())
        return pid if _start_time(pid) == started else None

    def inside(self, command: Sequence[str | Path]) -> list[str | Path]:
        """Wrap a command so that it runs in the node's mount and network namespaces."""
        if self.pid is None:
            raise ClusterError(
                f"cluster {self.layout.name} is not running: dev/cluster up"
                f" --name {self.layout.name}"
            )
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--", *command]

    def in_network(self, command: Sequence[str]) -> list[str]:
        """Wrap a command so that it reaches pods and services, by their names in DNS too."""
        return ["ip", "netns", "exec", self.layout.namespace, *command]

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl as the cluster's administrator; return what it printed."""
        return run(
            [self.kubectl_path, *arguments], env=self.environment, stdin=stdin, timeout=timeout
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which kubectl and clients find this cluster and no other.

        What kubectl remembers of an API server, by its address, would outlive the cluster.
        """
        remembered = self.layout.state / "kubectl-cache"
        return {"KUBECONFIG": str(self.layout.kubeconfig), "KUBECACHEDIR": str(remembered)}

    @property
    def kubectl_path(self) -> Path:
        """The kubectl that was built with the cluster."""
        return self.layout.state / "bin" / "kubectl"

    def load(self, archive: Path) -> None:
        """Import an image archive into the cluster's container runtime."""
        debian = self.layout.state / "debian"
        ctr = ["ctr", "--address", components.CONTAINERD_SOCKET, "--namespace", "k8s.io"]
        command = self.inside([*ctr, "images", "import", archive])
        run(command, env=_node_environment(debian))


def _node_environment(debian: Path) -> dict[str, str]:
    return binaries.debian_environment(debian)


def _start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot: its id alone may be used again."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def clusters_folder() -> Path:
    """Return the folder that holds a folder for each cluster."""
    return cache_folder() / "clusters"


def find(name: str) -> Cluster | None:
    """Return the cluster of that name, running or not; None when there is no trace of it."""
    file = clusters_folder() / check_name(name) / "layout.json"
    if not file.is_file():
        return None
    content = json.loads(file.read_text())
    return Cluster(Layout(content["name"], content["slot"], Path(content["state"])))


def find_all() -> list[Cluster]:
    """Return every cluster, by name."""
    names = sorted(path.parent.name for path in clusters_folder().glob("*/layout.json"))
    return [cluster for name in names if (cluster := find(name))]


def running(name: str) -> Cluster:
    """Return the running cluster of that name. Raises ``ClusterError`` with how to start it."""
    cluster = find(name)
    if cluster is None or cluster.pid is None:
        raise ClusterError(f"cluster {name} is not running: dev/cluster up --name {name}")
    return cluster


def up(name: str, progress: Progress) -> Cluster:
    """Start a cluster, built first if need be; one that runs already is returned as it is."""
    check_name(name)
    _require_root()
    with locked(_lock_of(name)):
        return _up(name, progress)


def _lock_of(name: str) -> Path:
    """Return the file whose lock is held while a cluster comes up or goes down."""
    return clusters_folder() / f".{name}.lock"


def _up(name: str, progress: Progress) -> Cluster:
    if (cluster := find(name)) and cluster.pid is not None:
        progress.say(f"cluster {name} is running already")
        return cluster
    with ThreadPoolExecutor(2) as pool:
        built = pool.submit(_build_binaries, progress), pool.submit(images.cluster_images, progress)
        (debian, kubernetes), archives = built[0].result(), built[1].result()
    if cluster:
        _take_down(cluster)
    cluster = _prepare(name, debian, kubernetes)
    try:
        with _terminate_as_interrupt():
            _start(cluster, archives, progress)
    except BaseException:
        progress.say(f"taking down what there is of cluster {name}")
        _take_down(cluster)
        raise
    return cluster


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("the local cluster makes namespaces and mounts: run this as root")


def _build_binaries(progress: Progress) -> tuple[Path, Path]:
    return binaries.debian(progress), binaries.kubernetes(progress)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM clean up as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _prepare(name: str, debian: Path, kubernetes: Path) -> Cluster:
    """Take a slot, make the state folder and write every configuration into it."""
    folder = clusters_folder()
    with locked(folder / ".lock"):
        ours = {cluster.layout.slot for cluster in find_all()}
        layout = Layout(name, free_slot(ours | network.used_slots()), folder / name)
        if network.exists(layout):
            raise ClusterError(
                f"a cluster {name} of another cache is on this machine: take it down with the"
                " SLUICE_CACHE that it was started with, or choose another name"
            )
        layout.state.mkdir(parents=True)
        content = asdict(layout) | {"state": str(layout.state)}
        (layout.state / "layout.json").write_text(json.dumps(content))
    for path in ("logs", "cni", *addons.volume_folders(layout)):
        (layout.state / path).mkdir(parents=True)
    (layout.state / "bin").symlink_to(kubernetes)
    (layout.state / "debian").symlink_to(debian)
    for file, text in components.configuration(layout, debian).items():
        (layout.state / file).write_text(text)
    plan = [asdict(component) for component in components.components(layout, kubernetes)]
    (layout.state / "components.json").write_text(json.dumps(plan))
    pki.write_certificates(layout)
    return Cluster(layout)


def _start(cluster: Cluster, archives: Sequence[Path], progress: Progress) -> None:
    layout = cluster.layout
    with progress.step(f"starting the node of cluster {layout.name}"):
        network.create(layout)
        cgroups.create(layout.namespace)
        _start_node(layout)
        _wait(cluster, "containerd", lambda: cluster.load(archives[0]))
        for archive in archives[1:]:
            cluster.load(archive)
    with progress.step("waiting for the Kubernetes API"):
        _wait(cluster, "kube-apiserver", lambda: cluster.kubectl("get", "--raw=/readyz"))
        _wait(cluster, "kube-apiserver", lambda: _apply_addons(cluster))
    with progress.step("waiting for the node and the cluster's DNS"):
        ready = ["wait", "--for=condition=Ready", f"node/{layout.namespace}", "--timeout=5s"]
        _wait(cluster, "kubelet", lambda: cluster.kubectl(*ready))
        rollout = ["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s"]
        _wait(cluster, "kubelet", lambda: cluster.kubectl(*rollout))


def _apply_addons(cluster: Cluster) -> None:
    manifests = addons.manifests(cluster.layout)
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)


def _start_node(layout: Layout) -> None:
    """Start the node's first process in namespaces of its own."""
    environment = {**os.environ, **_node_environment(layout.state / "debian")}
    environment |= {"PYTHONPATH": str(DEV), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("KUBECONFIG", "CONTEXT", "IMAGE"):
        environment.pop(name, None)
    command = ["nsenter", f"--net=/run/netns/{layout.namespace}", "unshare", "--pid", "--mount"]
    command += ["--fork", "--kill-child", "--mount-proc", sys.executable]
    with (layout.logs / "node.log").open("ab") as log:
        outer = subprocess.Popen(
            [*command, "-m", "sluice_dev.node", str(layout.state)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline and outer.poll() is None:
        if found := children.read_text().split():
            pid = int(found[0])
            (layout.state / "pid").write_text(f"{pid} {_start_time(pid)}")
            return
        time.sleep(0.02)
    raise ClusterError(f"the node did not start:\n{(layout.logs / 'node.log').read_text()}")


def _wait(cluster: Cluster, component: str, attempt: Callable[[], object]) -> None:
    """Try until it succeeds; give up when the node ends or READY_TIMEOUT is over."""
    deadline = time.monotonic() + READY_TIMEOUT
    while True:
        try:
            attempt()
        except ClusterError as error:
            if cluster.pid is None:
                text = (cluster.layout.logs / "node.log").read_text()
                raise ClusterError(f"the node stopped: {text}\n{_tail(cluster, text)}") from error
            if time.monotonic() > deadline:
                tail = log_tail(cluster.layout, component)
                raise ClusterError(f"{error}\nThe end of {component}'s log:\n{tail}") from error
        else:
            return
        time.sleep(0.2)


def _tail(cluster: Cluster, node_log: str) -> str:
    return log_tail(cluster.layout, node_log.partition(" ")[0]) if node_log else ""


def log_tail(layout: Layout, component: str, lines: int = 25) -> str:
    """Return the last lines of a component's log."""
    path = layout.logs / f"{component}.log"
    if not path.is_file():
        return f"{component} has no log"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def down(cluster: Cluster) -> None:
    """Stop a cluster and remove all of it; whatever is not there is passed over."""
    with locked(_lock_of(cluster.layout.name)):
        _take_down(cluster)


def _take_down(cluster: Cluster) -> None:
    layout = cluster.layout
    if (pid := cluster.pid) is not None:
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + READY_TIMEOUT
        while cluster.pid is not None and time.monotonic() < deadline:
            time.sleep(0.05)
    network.remove(layout)
    cgroups.remove(layout.namespace)
    shutil.rmtree(layout.state, ignore_errors=True)
