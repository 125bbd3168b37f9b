"""A platform.yaml, nodes that speak the real machine API on loopback addresses, and the command."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sluice_dev.processes import TETHER
from talos_examples import DATA, SYSTEM, platform_content, write_platform

DISKS = (
    {"id": "vda", "size": SYSTEM, "transport": "virtio"},
    {"id": "vdb", "size": DATA, "transport": "virtio"},
    {"id": "sr0", "size": 10**9, "transport": "ata", "cdrom": True, "readonly": True},
)
QUICK = {"pause": "100ms", "node": "20s", "bootstrap": "10s", "health": "20s", "services": "5s"}
PACE = {"lingers": 0.3, "boots": 0.3, "prepares": 0.4, "clock": 0.8}
"""Seconds that a node spends in each of the situations that a bootstrap waits out."""
_SUBNETS = itertools.count(os.getpid() * 100)


@dataclass
class Nodes:
    """Nodes that run, and what they were asked."""

    process: subprocess.Popen[str]
    journal: Path

    def records(self, method: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [record for record in found if record["method"].endswith(method)]


@dataclass
class Lab:
    """A platform.yaml, its nodes, and the command."""

    folder: Path
    talosctl: Path
    talosnode: Path
    content: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return write_platform(self.folder, self.content)

    @property
    def secrets(self) -> Path:
        return self.folder / "secret"

    def start(self, *nodes: dict[str, Any], **settings: Any) -> Nodes:
        """Start the platform's nodes; what is given for a node changes its behaviour."""
        changes = [*nodes, *([{}] * len(self.content["nodes"]))]
        described = [
            {"address": node["address"], "disks": DISKS, **PACE, **change}
            for node, change in zip(self.content["nodes"], changes, strict=False)
        ]
        journal = self.folder / "journal.jsonl"
        with journal.open("w") as output:
            process = subprocess.Popen(
                [*TETHER, self.talosnode], stdin=subprocess.PIPE, stdout=output, text=True
            )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"nodes": described, "check": 0.02, **settings}))
        process.stdin.close()
        self.started.append(process)
        for node in described:
            _wait_for_port(node["address"])
        return Nodes(process, journal)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sluice_cli", "cluster", *arguments, str(self.file)]

    @property
    def variables(self) -> dict[str, str]:
        path = f"{self.talosctl.parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **self.environment}

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            env=self.variables,
            timeout=120,
        )

    def bootstrap(self) -> str:
        """Bootstrap to the end; return what was shown."""
        found = self.run("bootstrap")
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    def refusal(self, *arguments: str) -> str:
        """Run a command that fails; return its message."""
        found = self.run(*(arguments or ("bootstrap",)))
        assert found.returncode == 1, found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        return found.stderr

    def killed_at(self, sign: str) -> None:
        """Bootstrap until a line with the sign is shown, and kill the command there."""
        process = subprocess.Popen(
            self.command("bootstrap"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.variables,
        )
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if sign in line:
                break
        else:
            pytest.fail(f"{sign!r} was never shown:\n{seen}")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _wait_for_port(address: str) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex((address, 50000)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"nothing listens at {address}")


def lab(
    folder: Path,
    talosctl: Path,
    talosnode: Path,
    control_planes: int = 1,
    workers: int = 0,
    **changes: Any,
) -> Lab:
    """Make a lab on addresses that no other test has."""
    number = next(_SUBNETS)
    subnet = f"127.{1 + number // 250 % 250}.{1 + number % 250}"
    content = platform_content(control_planes, workers, subnet)
    content |= {"services": [], "waits": QUICK, "folder": "secret", **changes}
    return Lab(folder, talosctl, talosnode, content)
