"""The cache of what was built: a folder for each artifact, named by a hash of its inputs."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice_dev.paths import cache_folder
from sluice_dev.progress import Progress

Part = bytes | str | Path
"""Something that an artifact is made from."""


def digest(parts: Iterable[Part]) -> str:
    """Return 12 hex digits that change with any of the parts; a path counts with its content."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            content = part.read_bytes()
            found.update(f"{part.name}:{len(content)}:".encode() + content)
        else:
            content = part.encode() if isinstance(part, str) else part
            found.update(f"{len(content)}:".encode() + content)
    return found.hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock: two runs never build or change the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def artifact(
    name: str,
    key: Iterable[Part],
    build: Callable[[Path], None],
    progress: Progress,
    keep: int | None = None,
) -> Path:
    """Return the folder of an artifact, built when it is not there yet.

    ``build`` fills an empty folder; it is renamed in place when it is complete, so an interrupted
    build leaves nothing that could be taken for one. Of artifacts that change often, only the
    newest ``keep`` of the same name stay.
    """
    folder = cache_folder() / "artifacts" / f"{name}-{digest(key)}"
    if folder.is_dir():
        return folder
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _build(name, folder, build, progress)
            if keep is not None:
                _prune(folder.parent, name, keep)
    return folder


def _prune(folder: Path, name: str, keep: int) -> None:
    found = [path for path in folder.glob(f"{name}-*") if path.is_dir()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def _build(name: str, folder: Path, build: Callable[[Path], None], progress: Progress) -> None:
    unfinished = folder.with_suffix(f".{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with progress.step(f"building {name}"):
            build(unfinished)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
