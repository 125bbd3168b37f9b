"""Where patches, overlays and manifests are: beside this package, in Sluice's sources."""

from pathlib import Path
from typing import Final

from sluice_api.errors import ConfigurationError

PROJECT: Final = Path(__file__).parents[2]
PATCHES: Final = PROJECT / "talos" / "patches"
OVERLAYS: Final = PROJECT / "talos" / "overlays"
MANIFESTS: Final = PROJECT / "manifests"


def require_sources() -> None:
    """Raise ``ConfigurationError`` where the package stands without what it installs."""
    for folder in (PATCHES, OVERLAYS, MANIFESTS):
        if not folder.is_dir():
            raise ConfigurationError(
                f"{folder} is missing: `sluice cluster` runs from a clone of Sluice's sources"
            )
