"""`sluice cluster`, through the real talosctl, against nodes that speak the real machine API."""

import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sluice_talos.steps import Stage
from talos_examples import DATA
from talos_lab import DISKS, QUICK, Lab

MakeLab = Callable[..., Lab]


def assert_complete(lab: Lab) -> None:
    """The cluster is up, and everything was done once that may be done once."""
    kubeconfig = yaml.safe_load((lab.secrets / "kubeconfig").read_text())
    assert kubeconfig["clusters"][0]["name"] == "ingest"
    status = lab.run("status")
    assert status.returncode == 0, status.stderr
    assert status.stdout.count("is a machine of the cluster, Talos v1.13.") == len(
        lab.content["nodes"]
    )
    assert "etcd: runs" in status.stdout


def test_three_control_planes_and_a_worker_from_maintenance_mode_to_health(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(3, 1)
    nodes = lab.start({"lingers": 3, "boots": 3, "prepares": 3, "clock": 4})
    shown = lab.bootstrap()
    for situation in (
        "its certificate is not the cluster's, waiting",
        "nothing answers at its address, waiting",
        "it does not allow the bootstrap yet, waiting",
        "its time is not in sync, waiting",
        "1 etcd to be healthy",
        "16 all k8s nodes to report schedulable",
    ):
        assert situation in shown
    assert_complete(lab)
    assert len([r for r in nodes.records("/Bootstrap") if r["code"] == "OK"]) == 1
    assert len([r for r in nodes.records("/ApplyConfiguration") if not r["secure"]]) >= 4


def test_a_second_run_changes_nothing(make_lab: MakeLab) -> None:
    lab = make_lab()
    nodes = lab.start()
    lab.bootstrap()
    before = (lab.secrets / "secrets.yaml").read_bytes()
    first = len(nodes.records("/Bootstrap"))
    shown = lab.bootstrap()
    assert "its configuration is up to date" in shown
    assert "etcd runs already" in shown
    assert (lab.secrets / "secrets.yaml").read_bytes() == before
    assert len(nodes.records("/Bootstrap")) == first
    assert_complete(lab)


@pytest.mark.parametrize("sign", ["▸", "✓"])
@pytest.mark.parametrize("number", range(1, len(Stage) + 1))
def test_a_run_goes_on_where_another_was_killed(make_lab: MakeLab, number: int, sign: str) -> None:
    lab = make_lab()
    nodes = lab.start()
    lab.killed_at(f"{sign} [{number}/{len(Stage)}]")
    secrets = lab.secrets / "secrets.yaml"
    before = secrets.read_bytes() if secrets.exists() else None
    lab.bootstrap()
    assert_complete(lab)
    assert before in {None, secrets.read_bytes()}
    assert len([r for r in nodes.records("/Bootstrap") if r["code"] == "OK"]) == 1
    assert not list((lab.secrets / ".unfinished").iterdir())


def test_bootstrap_twice_is_told_from_a_failure(make_lab: MakeLab) -> None:
    """Killed right after etcd was started, when etcd does not answer yet."""
    lab = make_lab()
    nodes = lab.start(starts=8)
    lab.killed_at("etcd is started")
    assert "etcd was started before" in lab.bootstrap()
    assert [record["code"] for record in nodes.records("/Bootstrap")][-2:] == [
        "OK",
        "AlreadyExists",
    ]


def test_a_node_that_never_comes_back_is_named_with_the_next_step(make_lab: MakeLab) -> None:
    lab = make_lab(1, 1, waits=QUICK | {"node": "3s"})
    lab.start({}, {"lost": True})
    message = lab.refusal()
    assert "node node-2" in message
    assert "nothing answers at its address" in message
    assert "look at the machine's console" in message
    assert "(waited 3 s)" in message
    assert "node node-1" not in message


def test_a_node_of_another_cluster_is_left_alone(make_lab: MakeLab) -> None:
    lab = make_lab()
    nodes = lab.start({"foreign": True})
    assert "it asks for a certificate of another cluster" in lab.refusal()
    assert not nodes.records("/ApplyConfiguration")


def test_a_clock_that_is_never_in_sync_ends_with_what_to_do(make_lab: MakeLab) -> None:
    lab = make_lab(waits=QUICK | {"bootstrap": "2s"})
    lab.start({"clock": -1})
    message = lab.refusal()
    assert "its time is not in sync (time is not in sync yet)" in message
    assert "`timeServers` in platform.yaml" in message


def test_an_installation_that_fails_is_told_from_a_slow_reboot(make_lab: MakeLab) -> None:
    """The node stays in maintenance mode: so it does when its disk cannot be written."""
    lab = make_lab(waits=QUICK | {"node": "3s"})
    lab.start({"lingers": 60})
    message = lab.refusal()
    assert "its certificate is not the cluster's" in message
    assert "an installation that fails (wrong disk" in message


def test_a_cluster_that_does_not_become_healthy_is_told_by_the_check(make_lab: MakeLab) -> None:
    lab = make_lab(waits=QUICK | {"health": "2s"})
    lab.start(stuck="kubelet to be healthy")
    message = lab.refusal()
    assert "7 checks passed, then Talos waited for kubelet to be healthy" in message


@pytest.mark.parametrize(
    ("disks", "message"),
    [
        (
            {"install": {"size": "<= 1GB"}},
            "disks.install fits no disk of the node; it has: /dev/vda",
        ),
        ({"install": {"type": "ssd"}}, "disks.install fits several disks: /dev/vda"),
        (
            {"install": {"size": "<= 64GB"}, "data": {"type": "nvme"}},
            "disks.data fits no disk of the node",
        ),
    ],
)
def test_a_disk_that_is_not_there_is_told_before_the_installation(
    make_lab: MakeLab, disks: dict[str, object], message: str
) -> None:
    lab = make_lab(disks=disks)
    nodes = lab.start()
    assert message in lab.refusal()
    assert not nodes.records("/ApplyConfiguration")


def test_a_change_that_needs_a_reboot_is_left_to_the_user(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.start()
    lab.bootstrap()
    lab.content["disks"]["install"] = {"size": "<= 32GB"}
    message = lab.refusal()
    assert "the changed configuration needs a reboot" in message
    assert "talosctl apply-config --mode reboot" in message


def test_reset_asks_for_the_name_and_the_cluster_can_be_made_again(make_lab: MakeLab) -> None:
    lab = make_lab()
    nodes = lab.start()
    lab.bootstrap()
    refused = lab.run("reset", typed="another\n")
    assert "that is not the cluster's name: nothing was touched" in refused.stderr
    assert not nodes.records("/Reset")
    done = lab.run("reset", "--wipe-data", typed="ingest\n")
    assert done.returncode == 0, done.stderr
    assert [record["detail"] for record in nodes.records("wiping")] == ["[/dev/vdb]"]
    lab.bootstrap()
    assert_complete(lab)


def test_a_disk_is_not_wiped_when_another_might_be_meant(make_lab: MakeLab) -> None:
    """A disk was added since: only one of the two was ever the cluster's."""
    lab = make_lab()
    added = {"id": "vdc", "size": DATA, "transport": "virtio", "serial": "precious"}
    nodes = lab.start({"disks": [*DISKS, added]})
    lab.content["disks"].pop("data")
    lab.bootstrap()
    lab.content["disks"]["data"] = {"size": "> 64GB"}
    done = lab.run("reset", "--wipe-data", typed="ingest\n")
    assert done.returncode == 1
    assert "disks.data fits several disks: /dev/vdb" in done.stderr
    assert "Nothing on this node was wiped" in done.stderr
    assert not nodes.records("/Reset")


def test_there_is_nothing_to_reset_without_the_clusters_certificates(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.start()
    assert "holds no talosconfig" in lab.refusal("reset")
    assert not lab.secrets.exists()
    lab.bootstrap()


def test_nobody_else_can_read_anything(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.start()
    lab.bootstrap()
    for path in (lab.secrets, *lab.secrets.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_no_secret_is_shown_or_handed_to_a_program(make_lab: MakeLab, tmp_path: Path) -> None:
    """A talosctl in between writes down its arguments, and calls the real one."""
    lab = make_lab()
    between = tmp_path / "bin" / "talosctl"
    between.parent.mkdir()
    between.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {lab.talosctl} "$@"\n')
    between.chmod(0o755)
    lab.environment["PATH"] = f"{between.parent}:/usr/bin:/bin"
    lab.start()
    seen = lab.bootstrap() + (tmp_path / "arguments").read_text()
    secrets = yaml.safe_load((lab.secrets / "secrets.yaml").read_text())
    values = list(_texts(secrets))
    assert len(values) > 10
    assert not [value for value in values if value in seen]


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) and len(value) > 8 else []


def test_two_runs_at_once_are_refused_and_an_interrupted_one_says_what_to_do(
    make_lab: MakeLab,
) -> None:
    lab = make_lab()
    lab.start({"lost": True})
    first = subprocess.Popen(
        lab.command("bootstrap"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=lab.variables,
    )
    assert first.stdout is not None
    for line in first.stdout:
        if "nothing answers" in line:
            break
    assert f"another run works on {lab.secrets}" in lab.refusal()
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=20)
    assert first.returncode == 1
    assert said == "Error: interrupted: run the command again to go on from here\n"


def test_another_talosctl_is_refused(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab()
    other = tmp_path / "bin" / "talosctl"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nprintf 'Client:\\n\\tTag:         v1.14.1\\n'\n")
    other.chmod(0o755)
    lab.environment["PATH"] = f"{other.parent}:/usr/bin:/bin"
    assert "is version 1.14.1, 1.13 is needed" in lab.refusal()
    other.write_bytes(b"\x7fELF of another machine")
    assert f"{other} cannot be run (Exec format error)" in lab.refusal()
    other.unlink()
    assert "talosctl is not in the PATH: install talosctl 1.13" in lab.refusal()
