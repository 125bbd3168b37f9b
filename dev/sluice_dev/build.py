"""``python -m sluice_dev.build``: build everything that tests run on, before they need it.

With CONTEXT, only what is needed beside a cluster of the user's own.
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sluice_dev import binaries, images, talos
from sluice_dev.errors import ClusterError
from sluice_dev.progress import Progress

TALOS: Final = (binaries.kubernetes, talos.talosctl, talos.talos_node, talos.manifestcheck)
COMPILED: Final = (*TALOS, images.cluster_images, binaries.versitygw)
DOWNLOADED: Final = (
    images.services_root,
    images.service_images,
    images.project_image,
    binaries.proxies,
    binaries.servers,
)
"""These wait for the network while those wait for the processor."""


def build(parts: Sequence[Callable[[Progress], object]], progress: Progress) -> None:
    """Build one after the other what is not there. Raises ``ClusterError``."""
    for part in parts:
        part(progress)


def main() -> int:
    """Build everything, or say why not."""
    progress = Progress()
    lanes = (TALOS,) if os.environ.get("CONTEXT") else (COMPILED, DOWNLOADED)
    try:
        with ThreadPoolExecutor() as pool:
            for built in [pool.submit(build, parts, progress) for parts in lanes]:
                built.result()
    except ClusterError as error:
        print(f"what the tests run on cannot be built: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
