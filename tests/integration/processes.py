"""Pods of workers as processes of the test: started from a folder, stopped or killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from sluice_dev.ports import free_port
from sluice_dev.processes import TETHER


def write_folder(folder: Path, files: dict[str, str]) -> None:
    """Write a pod's configuration as the operator mounts it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@asynccontextmanager
async def pod(
    command: str, folder: Path, *, port: int | None = None, output: IO[bytes] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A pod of ``sluice fetch`` or ``sluice write``, in a process group of its own."""
    process = await asyncio.create_subprocess_exec(
        *TETHER, sys.executable, "-m", "sluice_cli", command,
        "--folder", str(folder), "--port", str(port or free_port()),
        start_new_session=True, stdout=output, stderr=output,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                await kill(process)


async def kill(process: asyncio.subprocess.Process) -> None:
    """End a pod at once, all its processes."""
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
