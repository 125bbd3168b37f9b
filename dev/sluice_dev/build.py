"""``python -m sluice_dev.build [bench-writer]``: build what tests, or a benchmark, run on.

That is done before they need it, for the network of a local cluster leads nowhere else. With
CONTEXT, only what tests need beside a cluster of the user's own.
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sluice_dev import binaries, images, talos
from sluice_dev.errors import ClusterError
from sluice_dev.progress import Progress

Parts = Sequence[Callable[[Progress], object]]
TALOS: Final[Parts] = (binaries.kubernetes, talos.talosctl, talos.talos_node, talos.manifestcheck)
COMPILED: Final[Parts] = (*TALOS, images.cluster_images, binaries.versitygw)
DOWNLOADED: Final[Parts] = (
    images.services_root,
    images.service_images,
    images.project_image,
    binaries.proxies,
    binaries.servers,
)
"""These wait for the network while those wait for the processor."""


def build(parts: Parts, progress: Progress) -> None:
    """Build one after the other what is not there. Raises ``ClusterError``."""
    for part in parts:
        part(progress)


def main() -> int:
    """Build everything, or say why not."""
    progress = Progress()
    lanes: tuple[Parts, ...] = (TALOS,) if os.environ.get("CONTEXT") else (COMPILED, DOWNLOADED)
    if sys.argv[1:] == ["bench-writer"]:
        lanes = ((binaries.connect,),)
    try:
        with ThreadPoolExecutor() as pool:
            for built in [pool.submit(build, parts, progress) for parts in lanes]:
                built.result()
    except ClusterError as error:
        print(f"what this runs on cannot be built: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
