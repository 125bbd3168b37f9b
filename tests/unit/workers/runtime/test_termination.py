"""The last words of a process."""

from pathlib import Path

import pytest

from sluice_api.errors import ConfigurationError
from sluice_workers.runtime.termination import MAX_BYTES, explained_exit


def test_an_error_becomes_one_sentence_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    with pytest.raises(SystemExit) as stopped, explained_exit(log):
        raise ConfigurationError("redis/url: must be a\nURL")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "sluice: redis/url: must be a URL\n"
    assert log.read_text() == "redis/url: must be a URL"


def test_no_termination_log_is_made_outside_of_a_container(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    with pytest.raises(SystemExit), explained_exit(log):
        raise ConfigurationError("wrong")
    assert not log.exists()


def test_a_long_message_is_cut_to_what_kubernetes_keeps(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    with pytest.raises(SystemExit), explained_exit(log):
        raise ConfigurationError("x" * (2 * MAX_BYTES))
    assert len(log.read_bytes()) == MAX_BYTES
