"""Pods of workers as processes of the test: started from a folder, stopped or killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from typing import IO

from sluice_dev.processes import TETHER

_reserved: list[socket] = []


def free_port() -> int:
    """A port for a server that cannot be given 0, never given again.

    A socket keeps it: nobody is given it who asks for any port, and no connection leaves from it.
    A server may listen there all the same, as ours sets SO_REUSEADDR like the servers' do, and does
    not listen itself.
    """
    found = socket()
    found.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", 0))
    _reserved.append(found)
    return int(found.getsockname()[1])


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
