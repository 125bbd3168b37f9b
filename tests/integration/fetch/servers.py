"""Debian's Redis and nginx on loopback, for tests that stop them or need one of their own."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from integration.fetch.proxy_servers import listens
from integration.processes import free_port


def command(name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    folder = os.environ.get("SLUICE_TEST_SERVERS")
    if not folder:
        pytest.fail("SLUICE_TEST_SERVERS is not set: `make test` sets it", pytrace=False)
    libraries = f"{folder}/usr/lib/x86_64-linux-gnu"
    return [f"{folder}/usr/{name}", *arguments], os.environ | {"LD_LIBRARY_PATH": libraries}


class OwnRedis:
    """A Redis that keeps nothing over a restart."""

    def __init__(self) -> None:
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        arguments = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "")
        program, environment = command("bin/redis-server", *arguments)
        self._process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL)
        until_it_listens(self._process, self._port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    found = OwnRedis()
    try:
        yield found
    finally:
        found.kill()


def until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 10
    while not listens(port):
        assert process.poll() is None, f"{_first(process.args)} ended"
        assert time.monotonic() < deadline, f"{_first(process.args)} does not listen"
        time.sleep(0.02)


def _first(arguments: object) -> object:
    return arguments[0] if isinstance(arguments, Sequence) else arguments
