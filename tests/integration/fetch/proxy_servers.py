"""Debian's tinyproxy (HTTP, CONNECT), stunnel (TLS before it), microsocks (SOCKS5), on loopback."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.processes import free_port
from sluice_dev.processes import TETHER

USER, PASSWORD = "scout", "open-sesame.9"
QUOTED = "open%2Dsesame%2E9"
ESTABLISHED, LISTEN = "01", "0A"


def program(name: str) -> Path:
    folder = os.environ.get("SLUICE_TEST_PROXIES")
    if not folder:
        pytest.fail("SLUICE_TEST_PROXIES is not set: `make test` sets it", pytrace=False)
    return Path(folder) / "usr" / "bin" / name


@dataclass
class ProxyServer:
    """One running server."""

    scheme: str
    port: int
    process: Any
    behind: "ProxyServer | None" = None
    """Where it passes everything on to."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{USER}:{QUOTED}@127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.behind is not None:
            self.behind.stop()


def tinyproxy(folder: Path) -> ProxyServer:
    port = free_port()
    settings = folder / f"tinyproxy-{port}.conf"
    settings.write_text(
        f"Port {port}\nListen 127.0.0.1\nMaxClients 500\nTimeout 60\nLogLevel Error\n"
        f"BasicAuth {USER} {PASSWORD}\nDisableViaHeader Yes\n"
    )
    command = [program("tinyproxy"), "-d", "-c", settings]
    return _started("http", port, command)


def tinyproxy_by_tls(folder: Path) -> ProxyServer:
    """A proxy that is spoken to by HTTPS, with ``certificate.pem`` of the folder."""
    port, behind = free_port(), tinyproxy(folder)
    settings = folder / f"stunnel-{port}.conf"
    settings.write_text(
        f"foreground = yes\npid =\ndebug = err\n[proxy]\naccept = 127.0.0.1:{port}\n"
        f"connect = 127.0.0.1:{behind.port}\ncert = {folder / 'certificate.pem'}\n"
    )
    started = _started("https", port, [program("stunnel4"), settings])
    started.behind = behind
    return started


def microsocks() -> ProxyServer:
    port = free_port()
    command = ["-i", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD]
    return _started("socks5", port, [program("microsocks"), *command])


def _started(scheme: str, port: int, command: list[Any]) -> ProxyServer:
    libraries = program("").parent / "lib" / "x86_64-linux-gnu"
    process = subprocess.Popen(
        [*TETHER, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"LD_LIBRARY_PATH": str(libraries)},
    )
    deadline = time.monotonic() + 10
    while not listens(port):
        assert process.poll() is None, f"{command[0]} ended"
        assert time.monotonic() < deadline, f"{command[0]} does not listen"
        time.sleep(0.02)
    return ProxyServer(scheme, port, process)


@contextmanager
def running(*servers: ProxyServer) -> Any:
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()


def listens(port: int) -> bool:
    return any(local == port for local, _ in _sockets(LISTEN))


def _sockets(state: str) -> set[tuple[int, str]]:
    """The kernel's TCP sockets in a state: local port, and the remote address."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        (int(words[1].rpartition(":")[2], 16), words[2]) for words in lines if words[3] == state
    }


@dataclass
class Watch:
    """The most connections that each server, and all together, had open at one moment."""

    ports: tuple[int, ...]
    most: dict[int, int] = field(default_factory=dict)
    most_together: int = 0
    samples: int = 0

    def open(self) -> dict[int, int]:
        # The kernel's list is read piece by piece: only what two readings in a row both hold was
        # there at one moment, the one between them.
        steady = _sockets(ESTABLISHED) & _sockets(ESTABLISHED)
        return {port: sum(local == port for local, _ in steady) for port in self.ports}

    def look(self) -> None:
        found = self.open()
        for port, count in found.items():
            self.most[port] = max(self.most.get(port, 0), count)
        self.most_together = max(self.most_together, sum(found.values()))
        self.samples += 1


@asynccontextmanager
async def watching(*servers: ProxyServer) -> AsyncIterator[Watch]:
    """Count what the servers have open, as the kernel knows it, every 30 ms.

    A look takes 7 ms of a processor: the kernel goes through the whole machine's table.
    """
    watch = Watch(tuple(server.port for server in servers))

    async def look() -> None:
        while True:
            watch.look()
            await asyncio.sleep(0.03)

    task = asyncio.create_task(look())
    try:
        yield watch
    finally:
        task.cancel()
