"""Container images as files, written without a container engine.

The format is the archive of ``docker save``: one tar with ``manifest.json``, a configuration and
layers. Everything in it depends on its inputs alone: times are zero, names are sorted.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a container of an image starts."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = "/"


def write_layer(target: Path, files: Mapping[str, Path | bytes]) -> None:
    """Write a layer: paths inside the image, each with a file or folder of this machine, or bytes.

    Owners are root; modes are kept for files and executable for bytes that begin with ``#!``.
    """
    with target.open("wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        for parent in _parents(files):
            tar.addfile(_entry(parent, tarfile.DIRTYPE, 0o755))
        for name, content in sorted(files.items()):
            if isinstance(content, bytes):
                info = _entry(name, tarfile.REGTYPE, 0o755 if content[:2] == b"#!" else 0o644)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                _add_tree(tar, content, name)


def _parents(names: Iterable[str]) -> list[str]:
    found = {str(parent) for name in names for parent in Path(name).parents}
    return sorted(found - {".", "/"})


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


def _add_tree(tar: tarfile.TarFile, source: Path, name: str) -> None:
    info = tar.gettarinfo(source, arcname=name)
    info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
    if info.isreg():
        with source.open("rb") as file:
            tar.addfile(info, file)
        return
    tar.addfile(info)
    if info.isdir():
        for child in sorted(source.iterdir()):
            _add_tree(tar, child, f"{name}/{child.name}")


def write_image(target: Path, reference: str, layers: Iterable[Path], config: ImageConfig) -> None:
    """Write an image archive that ``ctr images import`` and ``docker load`` take."""
    layers = list(layers)
    digests = [_sha256(layer) for layer in layers]
    content = json.dumps(_configuration(config, digests), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    names = [f"{digest}.tar" for digest in digests]
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": names}]
    with target.open("wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
        _add_bytes(tar, config_name, content)
        for name, layer in dict(zip(names, layers, strict=True)).items():
            info = _entry(name, tarfile.REGTYPE, 0o644)
            info.size = layer.stat().st_size
            with layer.open("rb") as file:
                tar.addfile(info, file)


def _configuration(config: ImageConfig, digests: list[str]) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": list(config.entrypoint),
            "Cmd": list(config.command),
            "User": config.user,
            "WorkingDir": config.working_directory,
            "Env": [f"{name}={value}" for name, value in sorted(config.environment.items())],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = _entry(name, tarfile.REGTYPE, 0o644)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
