"""The last words of a process: a sentence on stderr and in the termination message."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sluice_api.errors import SluiceError

TERMINATION_LOG: Final = Path("/dev/termination-log")
MAX_BYTES: Final = 4096
"""What Kubernetes keeps of a termination message."""


def last_words(message: str, termination_log: Path = TERMINATION_LOG) -> None:
    """Write why the process ends to stderr and, inside a container, to its termination message."""
    line = " ".join(message.split())
    sys.stderr.write(f"sluice: {line}\n")
    # Outside of a container the file does not exist, and must not be made.
    if termination_log.exists():
        with contextlib.suppress(OSError):
            termination_log.write_bytes(line.encode()[:MAX_BYTES])


@contextlib.contextmanager
def explained_exit(termination_log: Path = TERMINATION_LOG) -> Iterator[None]:
    """Turn a ``SluiceError`` into one clear sentence and exit code 1."""
    try:
        yield
    except SluiceError as error:
        last_words(str(error), termination_log)
        raise SystemExit(1) from error
