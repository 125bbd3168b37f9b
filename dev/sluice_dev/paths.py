"""Where things are: the sources, and the cache outside the work tree."""

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

DEV: Final = Path(__file__).parents[1]
PROJECT: Final = DEV.parent


def cache_folder() -> Path:
    """Return ``$SLUICE_CACHE``, or ``sluice`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sluice"
    return Path(os.environ.get("SLUICE_CACHE", default))


@cache
def versions() -> dict[str, Any]:
    """Read dev/versions.toml."""
    return tomllib.loads((DEV / "versions.toml").read_text())
