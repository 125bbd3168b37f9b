"""The command offers what is installed: the operator's image holds no bootstrap of clusters."""

import pytest
from click.testing import CliRunner

from sluice_cli import main


def test_a_command_whose_package_is_not_there_is_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "cluster" in CliRunner().invoke(main.main, ["--help"]).output
    monkeypatch.setitem(main.COMMANDS, "cluster", ("sluice_absent.command", ""))  # type: ignore[misc]
    shown = CliRunner().invoke(main.main, ["--help"])
    assert shown.exit_code == 0
    assert "cluster" not in shown.output
    assert "No such command" in CliRunner().invoke(main.main, ["cluster"]).output


def test_redrive_takes_reasons_as_the_status_and_the_dead_topic_write_them() -> None:
    refused = CliRunner().invoke(main.main, ["redrive", "users", "--reason", "nope"])
    assert refused.exit_code == 2
    assert "'nope' is not one of 'HttpStatus', 'Timeout'" in refused.output
