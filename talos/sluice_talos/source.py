"""Reading ``platform.yaml``."""

from pathlib import Path

from sluice_talos import checks, document
from sluice_talos.document import Fault
from sluice_talos.platform import Patches, Platform


def read_platform(path: Path) -> Platform:
    """Read and check the file; paths in it become absolute, seen from its folder.

    Raises ``ConfigurationError`` with the line of every fault.
    """
    found = document.read(path)
    platform = document.parse(found, Platform)
    paths = Paths(path.absolute().parent)
    seen = paths.of(platform)
    if faults := (*checks.faults(platform), *paths.faults):
        raise found.refusal(faults)
    return seen


class Paths:
    """Makes paths absolute, and collects what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.faults: list[Fault] = []

    def of(self, platform: Platform) -> Platform:
        """Return the platform with absolute paths."""
        given = platform.patches
        patches = Patches(
            all=self._files(given.all, "patches", "all"),
            control_plane=self._files(given.control_plane, "patches", "controlPlane"),
            worker=self._files(given.worker, "patches", "worker"),
        )
        nodes = tuple(
            node.model_copy(
                update={"patches": self._files(node.patches, "nodes", index, "patches")}
            )
            for index, node in enumerate(platform.nodes)
        )
        own = self._seen(platform.folder, "folder") if platform.folder else None
        return platform.model_copy(update={"patches": patches, "nodes": nodes, "folder": own})

    def _files(self, paths: tuple[Path, ...], *location: str | int) -> tuple[Path, ...]:
        return tuple(self._file(path, *location, index) for index, path in enumerate(paths))

    def _file(self, path: Path, *location: str | int) -> Path:
        found = self._seen(path, *location)
        if not found.is_file():
            message = f"must be a file, as seen from the folder of platform.yaml; {found} is none"
            self.faults.append(Fault(location, message))
        return found

    def _seen(self, path: Path, *location: str | int) -> Path:
        try:
            return self._folder / path.expanduser()
        except RuntimeError:
            message = f"must be a path; nobody has the home folder of {str(path)!r}"
            self.faults.append(Fault(location, message))
            return self._folder
