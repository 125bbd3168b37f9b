"""The folder of the secrets is private, and never where git would take it along."""

import subprocess
from pathlib import Path

import pytest

from sluice_api.errors import ConfigurationError
from sluice_talos.folder import Folder, folder_of, prepare, write_private
from talos_examples import example


def test_it_is_made_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "clusters" / "ingest")
    prepare(folder)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    write_private(folder.secrets, "secret")
    assert folder.secrets.stat().st_mode & 0o777 == 0o600
    prepare(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705])
def test_one_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    folder = Folder(tmp_path / "ingest")
    folder.path.mkdir(mode=0o700)
    folder.path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"has mode 0{mode:o}.*chmod 0700"):
        prepare(folder)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "ingest")
    prepare(folder)
    folder.secrets.touch(mode=0o644)
    folder.secrets.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"secrets.yaml has mode 0644.*chmod 0600"):
        prepare(folder)


def test_one_inside_a_git_work_tree_must_be_ignored(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = Folder(tmp_path / "deep" / "secret")
    with pytest.raises(ConfigurationError, match=r"git work tree .* \.gitignore"):
        prepare(folder)
    assert not folder.path.exists()
    (tmp_path / ".gitignore").write_text("secret/\n")
    prepare(folder)


def test_the_default_lies_beside_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert folder_of(example(tmp_path, 1)).path == tmp_path / "sluice" / "clusters" / "ingest"
