"""The seam to talosctl: the only place that starts it."""

import asyncio
import ctypes
import re
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice_api.errors import ConfigurationError
from sluice_talos import commands
from sluice_talos.values import TALOS

UNFINISHED: Final = -1
"""The code of a call that was ended because it took too long."""
PRIVATE: Final = 0o077
"""The umask of what talosctl writes: secrets and certificates."""
_PRCTL: Final = getattr(ctypes.CDLL(None), "prctl", None)
_PR_SET_PDEATHSIG: Final = 1


def _end_with_caller() -> None:
    """Let the kernel end the program when we are killed: the next run must not meet it at work.

    Systems other than Linux have no such call (prctl(2)).
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    code: int
    output: str
    error: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0


@dataclass(frozen=True)
class Program:
    """A program that is called with arguments; nothing secret is ever among them."""

    path: Path

    async def run(self, arguments: Sequence[str], within: float) -> Answer:
        """Run it to its end, or for ``within`` seconds.

        Raises ``ConfigurationError`` where it is no program that this machine runs.
        """
        async with self._started(arguments) as process:
            try:
                async with asyncio.timeout(within):
                    output, error = await process.communicate()
            except TimeoutError:
                return Answer(UNFINISHED, "", f"did not end within {within:.0f} s")
        return Answer(process.returncode or 0, output.decode(), error.decode())

    async def lines(self, arguments: Sequence[str], said: list[str]) -> AsyncIterator[str]:
        """Run it and give each line it says; ``said`` ends with its exit code, as text."""
        async with self._started(arguments, merged=True) as process:
            if process.stdout is None:
                raise AssertionError("the process was started with pipes")
            async for line in process.stdout:
                yield line.decode().rstrip()
            said.append(str(await process.wait()))

    @asynccontextmanager
    async def _started(
        self, arguments: Sequence[str], *, merged: bool = False
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                self.path,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=asyncio.subprocess.STDOUT if merged else pipe,
                umask=PRIVATE,
                limit=2**20,
                preexec_fn=_end_with_caller,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be run ({error.strerror}): it may be built for another"
                " processor, or be no program at all"
            ) from error
        try:
            yield process
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def find(name: str, hint: str) -> Path:
    """Find a program in the PATH. Raises ``ConfigurationError`` with the hint."""
    found = shutil.which(name)
    if found is None:
        raise ConfigurationError(f"{name} is not in the PATH: {hint}")
    return Path(found)


async def find_talosctl() -> Program:
    """Find talosctl and check its version. Raises ``ConfigurationError``."""
    hint = f"install talosctl {TALOS} (it is one file, from Talos's releases)"
    program = Program(find("talosctl", hint))
    answer = await program.run(commands.client_version(), within=30)
    version = re.search(r"Tag:\s+v?([0-9]+\.[0-9]+)(\S*)", answer.output)
    if version is None:
        raise ConfigurationError(f"{program.path} does not tell its version: {hint}")
    if version[1] != TALOS:
        raise ConfigurationError(
            f"{program.path} is version {version[1]}{version[2]}, {TALOS} is needed: the patches"
            f" are written for it, and other versions know other documents; {hint}"
        )
    return program
