"""What a process has used, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME: Final = 11
_STIME: Final = 12
"""Places in /proc/PID/stat after the command's name, see proc(5)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds (user and system) and resident bytes of a process."""

    cpu: float
    resident: int


def usage(pid: int) -> Usage:
    """Return what a process has used so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage((int(words[_UTIME]) + int(words[_STIME])) * _TICK, pages * _PAGE)


def peak(pid: int) -> int:
    """Return the most bytes that a process was ever resident with."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def busy() -> tuple[float, float]:
    """Return the CPU seconds that all cores were busy and idle since the machine's start."""
    ticks = [int(word) * _TICK for word in Path("/proc/stat").read_text().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle
