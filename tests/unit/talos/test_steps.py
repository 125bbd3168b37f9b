"""The plan: everything in order, nothing touched."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sluice_talos.command import command
from sluice_talos.folder import Folder
from sluice_talos.installation import copies, installation
from sluice_talos.steps import Stage, steps
from talos_examples import example, platform_content, write_platform


def test_the_stages_come_first_and_in_order(tmp_path: Path) -> None:
    found = steps(example(tmp_path, 3, 1), Folder(tmp_path))
    assert [step.title for step in found][: len(Stage)] == list(Stage)


def test_only_one_node_is_bootstrapped(tmp_path: Path) -> None:
    found = steps(example(tmp_path, 3, 1), Folder(tmp_path))
    calls = [call.arguments for step in found for call in step.calls]
    assert [call[3] for call in calls if call[-1] == "bootstrap"] == ["10.0.0.11"]


@pytest.mark.parametrize(
    ("control_planes", "workers", "size"),
    [(1, 0, "one"), (3, 0, "three"), (1, 1, "one"), (3, 2, "one"), (3, 3, "three")],
)
def test_copies_are_as_many_as_nodes_that_carry_work_allow(
    tmp_path: Path, control_planes: int, workers: int, size: str
) -> None:
    assert copies(example(tmp_path, control_planes, workers)) == size


def test_services_are_installed_in_their_order_and_none_unasked(tmp_path: Path) -> None:
    some = example(tmp_path, 1, services=["redis", "storage"])
    assert [part.title for part in installation(some, Folder(tmp_path))] == ["storage", "Redis"]
    everything = installation(example(tmp_path, 1), Folder(tmp_path))
    assert [part.title for part in everything][-2:] == ["the Sluice operator", "the first job"]


def test_the_plan_touches_nothing(tmp_path: Path) -> None:
    file = write_platform(tmp_path, platform_content(3) | {"folder": "secret"})
    shown = CliRunner().invoke(command, ["plan", str(file)])
    assert shown.exit_code == 0, shown.output
    assert "9. health" in shown.output
    assert "talosctl --nodes 10.0.0.12 apply-config --insecure" in shown.output
    assert [path.name for path in tmp_path.iterdir()] == ["platform.yaml"]


def test_a_wrong_file_is_a_message(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text("cluster: {}\n")
    shown = CliRunner().invoke(command, ["plan", str(file)])
    assert shown.exit_code == 1
    assert f"{file}:1: cluster.name: is missing" in shown.output
