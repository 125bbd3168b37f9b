"""Running the tools that the cluster is built from."""

import os
import shutil
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sluice_dev.errors import ClusterError

SHOWN: Final = 160
"""Characters of a command that a message shows."""
TAIL: Final = 25
"""Lines of a failed command's output that are worth showing."""
TETHER: Final = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: the kernel kills the program when the thread that started it ends, however."""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 1800,
) -> str:
    """Run a command and return what it printed to standard output.

    ``env`` is added to this process's environment; ``timeout`` is in seconds. Raises
    ``ClusterError`` with the end of its output when it fails.
    """
    try:
        found = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is missing: install it and try again") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown(command)} did not end within {timeout:.0f} s") from error
    if found.returncode != 0:
        output = "\n".join((found.stdout + found.stderr).strip().splitlines()[-TAIL:])
        raise ClusterError(f"{shown(command)} failed ({found.returncode}):\n{output}")
    return found.stdout


def shown(command: Sequence[str | Path]) -> str:
    """Shorten a command for a message."""
    text = " ".join(str(part) for part in command)
    return textwrap.shorten(text, SHOWN, placeholder=" …")


def require(tool: str, hint: str) -> None:
    """Raise ``ClusterError`` with the hint unless the tool is in the PATH."""
    if shutil.which(tool) is None:
        raise ClusterError(f"{tool} is missing: {hint}")
