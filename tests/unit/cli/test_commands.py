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
