"""The folder of the secrets is private, and never where git would take it along."""

import subprocess
from pathlib import Path

import pytest

from sluice_api.errors import ConfigurationError
from sluice_talos.folder import Folder, alone, folder_of, prepare, write_private
from talos_examples import example


def open_folder(folder: Folder) -> None:
    prepare(folder)
    with alone(folder):
        pass


def test_it_is_made_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "clusters" / "ingest")
    open_folder(folder)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    write_private(folder, folder.secrets, "secret")
    assert folder.secrets.stat().st_mode & 0o777 == 0o600
    open_folder(folder)


@pytest.mark.parametrize("mode", [0o750, 0o705])
def test_one_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    folder = Folder(tmp_path / "ingest")
    folder.path.mkdir(mode=0o700)
    folder.path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"has mode 0{mode:o}.*chmod 0700"):
        open_folder(folder)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "ingest")
    prepare(folder)
    folder.secrets.touch(mode=0o644)
    folder.secrets.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"secrets.yaml has mode 0644.*chmod 0600"):
        open_folder(folder)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "ingest")
    open_folder(folder)
    folder.secrets.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match=r"ingest cannot be used: .*secrets.yaml"):
        open_folder(folder)


def test_one_that_holds_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    """A home folder, say: nothing in it is a cluster's, whatever it is called."""
    (tmp_path / ".vim.1").mkdir()
    (tmp_path / "platform.yaml").touch()
    with pytest.raises(ConfigurationError, match=r"holds other things, such as \.vim\.1"):
        open_folder(Folder(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {".vim.1", "platform.yaml"}


def test_a_copy_of_the_secrets_is_enough(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "ingest")
    folder.path.mkdir(mode=0o700)
    folder.secrets.touch(mode=0o600)
    open_folder(folder)


def test_only_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "ingest")
    open_folder(folder)
    write_private(folder, folder.path / ".mine.1", "kept")
    (folder.unfinished / "secrets.yaml").touch(mode=0o600)
    open_folder(folder)
    assert (folder.path / ".mine.1").read_text() == "kept"
    assert not list(folder.unfinished.iterdir())


def test_one_inside_a_git_work_tree_must_be_ignored(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = Folder(tmp_path / "deep" / "sécret")
    with pytest.raises(ConfigurationError, match=r"git work tree .* \.gitignore"):
        prepare(folder)
    assert not folder.path.exists()
    (tmp_path / ".gitignore").write_text("sécret/\n")
    prepare(folder)


@pytest.mark.parametrize("ignored", ["secrets.yaml", "*.yaml", "secret/*\n!kubeconfig"])
def test_every_file_of_it_must_be_ignored(tmp_path: Path, ignored: str) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(f"{ignored}\n")
    with pytest.raises(ConfigurationError, match="does not ignore all of it"):
        prepare(Folder(tmp_path / "secret"))


def test_one_that_is_tracked_is_refused_though_it_is_ignored(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = Folder(tmp_path / "secret")
    folder.path.mkdir(mode=0o700)
    folder.secrets.touch(mode=0o600)
    subprocess.run(["git", "-C", tmp_path, "add", "--force", "."], check=True)
    (tmp_path / ".gitignore").write_text("secret/\n")
    with pytest.raises(ConfigurationError, match="git work tree"):
        prepare(folder)


@pytest.mark.parametrize(
    ("name", "value"), [("PATH", "/nowhere"), ("GIT_DIR", "/nowhere"), ("GIT_WORK_TREE", "/")]
)
def test_what_git_cannot_tell_is_refused_and_variables_do_not_mislead_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="git work tree"):
        prepare(Folder(tmp_path / "secret"))


@pytest.mark.parametrize("configured", ["", "relative"])
def test_a_configured_home_that_is_no_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", configured)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = folder_of(example(tmp_path, 1)).path
    assert found == tmp_path / ".config" / "sluice" / "clusters" / "ingest"


def test_the_default_lies_beside_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert folder_of(example(tmp_path, 1)).path == tmp_path / "sluice" / "clusters" / "ingest"
