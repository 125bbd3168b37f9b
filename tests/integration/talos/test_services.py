"""What is installed at the end: rendered by the real kubectl, read strictly, called at the seam."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_api.spec import IngestionJobSpec
from sluice_talos.installation import PLATFORM, image_kustomization, s3_secret
from sluice_talos.platform import Operator
from talos_lab import Lab

MakeLab = Callable[..., Lab]
FOLDERS = (
    "storage", "redpanda/one", "redpanda/three", "postgres/one", "postgres/three",
    "redis", "s3", "operator", "first-job",
)  # fmt: skip
CUSTOM = {"IngestionJob", "CustomResourceDefinition", "Redpanda", "Cluster"}
"""Kinds that Kubernetes's own types do not have."""
ALL = ["storage", "redpanda", "postgres", "redis", "s3", "operator"]


def rendered(kubectl: Path, folder: Path) -> str:
    found = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def manifests(kubectl: Path, name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(rendered(kubectl, PLATFORM / name)))


def pods(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in found:
        if item["kind"] in {"Deployment", "StatefulSet"}:
            yield item["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", FOLDERS)
def test_manifests_have_no_field_that_kubernetes_does_not_know(
    kubectl: Path, manifestcheck: Path, name: str
) -> None:
    text = rendered(kubectl, PLATFORM / name)
    found = subprocess.run([manifestcheck], input=text, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    custom = [item["kind"] for item in yaml.safe_load_all(text) if item["kind"] in CUSTOM]
    assert found.stdout.count("unknown:") == len(custom), found.stdout


def test_a_field_that_kubernetes_does_not_know_is_found(manifestcheck: Path) -> None:
    wrong = (PLATFORM / "s3" / "seaweedfs.yaml").read_text().replace("replicas:", "replicaz:")
    found = subprocess.run(
        [manifestcheck], input=wrong, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert 'unknown field "spec.replicaz"' in found.stderr


@pytest.mark.parametrize("name", FOLDERS)
def test_pods_say_what_they_need_and_take_no_privileges(kubectl: Path, name: str) -> None:
    for pod in pods(manifests(kubectl, name)):
        for container in pod["containers"]:
            resources = container["resources"]
            assert resources["limits"]["memory"] == resources["requests"]["memory"]
            assert resources["requests"]["cpu"]
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
        if name != "storage":
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_only_the_storage_provisioner_may_touch_the_nodes(kubectl: Path) -> None:
    levels = {
        item["metadata"]["name"]: item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for name in FOLDERS
        for item in manifests(kubectl, name)
        if item["kind"] == "Namespace"
    }
    assert levels == {
        "local-path-storage": "privileged",
        "ingestion": "restricted",
        "sluice-system": "restricted",
        "s3": "restricted",
    }


def test_volumes_lie_where_the_patches_mount_the_data_disk(kubectl: Path) -> None:
    config = next(item for item in manifests(kubectl, "storage") if item["kind"] == "ConfigMap")
    assert "/var/mnt/data" in config["data"]["config.json"]


@pytest.mark.parametrize(("size", "count"), [("one", 1), ("three", 3)])
def test_brokers_and_databases_are_copied_as_the_nodes_allow(
    kubectl: Path, size: str, count: int
) -> None:
    redpanda = manifests(kubectl, f"redpanda/{size}")[0]["spec"]["clusterSpec"]
    assert redpanda["statefulset"]["replicas"] == count
    assert redpanda["tuning"] == {"tune_aio_events": False}
    postgres = manifests(kubectl, f"postgres/{size}")
    cluster = next(item for item in postgres if item["kind"] == "Cluster")
    assert cluster["spec"]["instances"] == count


def test_the_first_job_is_one_that_the_operator_takes(kubectl: Path) -> None:
    job = next(i for i in manifests(kubectl, "first-job") if i["kind"] == "IngestionJob")
    spec = IngestionJobSpec.model_validate(job["spec"])
    assert spec.sink.postgres.secret_ref.name == "warehouse-app"


def test_the_users_image_is_the_operators_and_the_workers(kubectl: Path, tmp_path: Path) -> None:
    image = "registry.example.com:5000/team/sluice@sha256:" + "0" * 64
    folder = tmp_path / "services" / "operator"
    folder.mkdir(parents=True)
    made = image_kustomization(
        folder, PLATFORM / "operator", "sluice-operator", "sluice-system", Operator(image=image)
    )
    (folder / "kustomization.yaml").write_text(made)
    found = list(yaml.safe_load_all(rendered(kubectl, folder)))
    container = next(pods(found))["containers"][0]
    variables = {item["name"]: item.get("value") for item in container["env"]}
    assert container["image"] == variables["SLUICE_WORKER_IMAGE"] == image
    brokers = "redpanda.redpanda.svc.cluster.local:9093"
    assert variables["SLUICE_KAFKA_BOOTSTRAP_SERVERS"] == brokers


def test_the_s3_secret_is_one(manifestcheck: Path) -> None:
    text = s3_secret("key", "word")
    found = subprocess.run([manifestcheck], input=text, capture_output=True, text=True, check=True)
    assert not found.stdout
    settings = yaml.safe_load(yaml.safe_load(text)["stringData"]["s3.json"])
    assert settings["identities"][0]["credentials"] == [{"accessKey": "key", "secretKey": "word"}]


@pytest.fixture
def make_cluster(make_lab: MakeLab, tmp_path: Path, kubectl: Path) -> Callable[[], Lab]:
    """A lab whose kubectl and helm write down their arguments; what is applied is rendered."""
    folder = tmp_path / "bin"
    folder.mkdir()
    render = f"""#!/bin/sh
echo kubectl "$@" >> {tmp_path}/calls
if [ -e {tmp_path}/broken ] && [ "$3 $4" = "wait cluster.postgresql.cnpg.io/warehouse" ]; then
  echo 'error: timed out waiting for the condition on clusters/warehouse' >&2; exit 1
fi
while [ $# -gt 0 ]; do
  case "$1" in
    --kustomize) exec {kubectl} kustomize "$2" > {tmp_path}/rendered ;;
    --filename) exec cat "$2" > {tmp_path}/rendered ;;
    exec) echo ' 1001 | Ada'; exit ;;
  esac
  shift
done
"""
    (folder / "kubectl").write_text(render)
    (folder / "helm").write_text(f'#!/bin/sh\necho helm "$@" >> {tmp_path}/calls\n')
    for program in folder.iterdir():
        program.chmod(0o755)

    def make() -> Lab:
        lab = make_lab(services=ALL)
        lab.environment["PATH"] = f"{folder}:{lab.talosctl.parent}:/usr/bin:/bin"
        return lab

    return make


def test_everything_is_installed_and_the_first_rows_are_shown(
    make_cluster: Callable[[], Lab], tmp_path: Path
) -> None:
    lab = make_cluster()
    lab.start()
    shown = lab.bootstrap()
    for title in ("storage", "Redpanda", "Postgres", "Redis", "S3", "the Sluice operator"):
        assert f"/16] {title}: " in shown
    assert "1001 | Ada" in shown
    calls = (tmp_path / "calls").read_text().splitlines()
    assert all(f"--kubeconfig {lab.secrets / 'kubeconfig'}" in call for call in calls)
    assert [call.split("--version ")[1].split()[0] for call in calls if "helm" in call] == [
        "26.2.2",
        "0.26.0",
    ]
    keys = yaml.safe_load((lab.secrets / "services" / "s3.yaml").read_text())["stringData"]
    for value in yaml.safe_load(keys["s3.json"])["identities"][0]["credentials"][0].values():
        assert value not in shown + "\n".join(calls)


@pytest.mark.parametrize("number", range(10, 17))
def test_an_installation_goes_on_where_another_was_killed(
    make_cluster: Callable[[], Lab], tmp_path: Path, number: int
) -> None:
    lab = make_cluster()
    nodes = lab.start()
    lab.killed_at(f"▸ [{number}/16]")
    keys = (lab.secrets / "services" / "s3.yaml").read_bytes()
    (tmp_path / "calls").unlink(missing_ok=True)
    assert "1001 | Ada" in lab.bootstrap()
    assert (lab.secrets / "services" / "s3.yaml").read_bytes() == keys
    assert len([r for r in nodes.records("/Bootstrap") if r["code"] == "OK"]) == 1
    applied = {c for c in (tmp_path / "calls").read_text().splitlines() if " apply " in c}
    assert len(applied) == 9


def test_a_service_that_does_not_come_up_is_named(
    make_cluster: Callable[[], Lab], tmp_path: Path
) -> None:
    lab = make_cluster()
    lab.start()
    (tmp_path / "broken").touch()
    message = lab.refusal()
    assert "Postgres: kubectl failed: error: timed out waiting for the condition" in message
    assert "get pods,events -A, and run the command again" in message
    (tmp_path / "broken").unlink()
    lab.bootstrap()


def test_a_missing_program_is_told_before_anything_is_done(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    lab = make_lab(services=["storage"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "talosctl").symlink_to(lab.talosctl)
    lab.environment["PATH"] = f"{tmp_path}/bin"
    assert "kubectl is not in the PATH: install the kubectl" in lab.refusal()
    assert not (lab.secrets / "secrets.yaml").exists()
