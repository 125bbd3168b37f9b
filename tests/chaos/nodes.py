"""Nodes: a network namespace each, joined by a bridge, and a process tree that can be hurt.

All of it lives in the namespaces of the run (``chaos.__main__`` makes them), so nothing can be left
behind on the machine.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

HUB: Final = "10.214.0.1"
"""The run's own address; its packets pass no link that a fault takes down but the other end's."""
NETWORK: Final = "10.214.0."
NOBODY: Final = "02:00:00:00:00:ff"
"""A hardware address that no interface has: what is sent there is heard by nobody."""
LOGS: Final = Path("/run/logs")
START: Final = 10.0
"""Seconds that a process tree has to appear."""


def make_network() -> None:
    """Make the bridge that joins the nodes."""
    for command in (
        ("link", "set", "lo", "up"),
        ("link", "add", "hub", "type", "bridge"),
        ("address", "add", f"{HUB}/24", "dev", "hub"),
        ("link", "set", "hub", "up"),
    ):
        ip(*command)


def ip(*arguments: str, check: bool = True) -> None:
    """Run ``ip``. Raises ``subprocess.CalledProcessError``."""
    subprocess.run(["ip", *arguments], check=check, capture_output=True)


class Node:
    """A machine of the run: an address, and one process tree that is started again at will."""

    def __init__(self, name: str, number: int, command: Sequence[str]) -> None:
        self.name = name
        self.address = f"{NETWORK}{number}"
        self.log = LOGS / f"{name}.log"
        self.environment: Mapping[str, str] = os.environ
        self._command = command
        self._outer: subprocess.Popen[bytes] | None = None
        """The process that waits outside of the tree's pid namespace."""
        self._first = 0
        """The tree's first process: when it ends, the kernel ends all others."""
        ip("netns", "add", name)
        ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"to-{name}", "master", "hub", "up")
        for command_inside in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            self.ip(*command_inside)

    def ip(self, *arguments: str, check: bool = True) -> None:
        """Run ``ip`` inside the node's network."""
        ip("-n", self.name, *arguments, check=check)

    def start(self) -> None:
        """Start the process tree."""
        with self.log.open("ab") as log:
            self._outer = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.name}",
                 "unshare", "--pid", "--fork", "--kill-child", *self._command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                start_new_session=True,
            )  # fmt: skip
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        deadline = time.monotonic() + START
        while not (found := children.read_text().split()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: see {self.log}")
            time.sleep(0.005)
        self._first = int(found[0])

    def inside(self, *command: str) -> None:
        """Run a command among the tree's processes; its failure is of no account."""
        enter = ["nsenter", "--target", str(self._first), "--pid", "--net"]
        with self.log.open("ab") as log, suppress(subprocess.TimeoutExpired):
            subprocess.run([*enter, *command], stdout=log, stderr=log, timeout=5, check=False)

    @property
    def runs(self) -> bool:
        """Whether the process tree is there."""
        return self._outer is not None and self._outer.poll() is None

    @property
    def proc(self) -> Path:
        """What the kernel tells of the tree's first process."""
        return Path(f"/proc/{self._first}")

    @property
    def frozen(self) -> bool:
        """Whether it is stopped."""
        with suppress(OSError):
            return (self.proc / "stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the tree's first process."""
        with suppress(ProcessLookupError):
            os.kill(self._first, number)

    def kill(self) -> None:
        """End all processes at once, stopped ones too."""
        if self._outer is not None:
            self.send(signal.SIGKILL)
            self._outer.wait()

    def freeze(self) -> None:
        """Stop all processes, also those that are being started."""
        stopped: set[int] = set()
        while new := set(self._processes()) - stopped:
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= new

    def thaw(self) -> None:
        """Let all processes go on."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def kill_one(self, words: str) -> bool:
        """SIGKILL the first process whose command line has the words; tell whether there is one."""
        for pid in self._processes():
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if words in command.decode(errors="replace"):
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def _processes(self) -> Iterator[int]:
        try:
            mine = Path(f"/proc/{self._first}/ns/pid").readlink()
        except OSError:
            return
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (folder / "ns" / "pid").readlink() == mine:
                    yield int(folder.name)

    def deafen(self, to: "Node") -> None:
        """Let no packet of this node reach another one."""
        self.ip("neigh", "replace", to.address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")

    def hear(self, to: "Node") -> None:
        """Let packets pass again."""
        self.ip("neigh", "del", to.address, "dev", "eth0", check=False)

    def link(self, state: str) -> None:
        """Set the node's link ``up`` or ``down``."""
        ip("link", "set", f"to-{self.name}", state)
