"""Debian's Redis and nginx on loopback, for tests that stop them or need one of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from integration.fetch.proxy_servers import listens
from integration.processes import free_port
from sluice_dev.processes import TETHER


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
        """Start, without a password."""
        arguments = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "")
        program, environment = command("bin/redis-server", *arguments)
        self._process = subprocess.Popen(
            [*TETHER, *program], env=environment, stdout=subprocess.DEVNULL
        )
        until_it_listens(self._process, self._port)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


async def change_password(url: str, password: str) -> str:
    """Have the Redis of a URL want another password of everybody; return the URL for that one."""
    async with Redis.from_url(url) as client:
        await client.config_set("requirepass", password)
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    return f"redis://:{password}@{url.rpartition('@')[2].removeprefix('redis://')}"


class Nginx:
    """HTTPS with HTTP/2 in front of a backend, by ``certificate.pem`` of the folder."""

    def __init__(self, folder: Path, backend: int, *, http2: bool = True, also: str = "") -> None:
        """``also`` is said of the server besides."""
        self.port = free_port()
        settings = folder / f"nginx-{self.port}.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in kinds)
        settings.write_text(
            f"daemon off; user root; worker_processes 1; pid {folder}/nginx-{self.port}.pid;"
            f" error_log {folder}/nginx.log; events {{ worker_connections 4096; }}"
            f" http {{ access_log off; {paths} client_max_body_size 8m;"
            f" server {{ listen 127.0.0.1:{self.port} ssl {'http2' if http2 else ''};"
            f" ssl_certificate {folder}/certificate.pem;"
            f" ssl_certificate_key {folder}/certificate.pem; {also}"
            f" location = /gone {{ return 444; }}"
            f" location / {{ proxy_pass http://127.0.0.1:{backend}; proxy_buffering off;"
            f" add_header X-Protocol $server_protocol; }} }} }}"
        )
        program, environment = command("sbin/nginx", "-p", str(folder), "-c", str(settings))
        self.process = subprocess.Popen([*TETHER, *program], env=environment)
        until_it_listens(self.process, self.port)

    def quit(self) -> None:
        """End as on a reload: what is under way is answered."""
        self.process.send_signal(signal.SIGQUIT)

    def kill(self) -> None:
        """End at once, with all its connections."""
        self.process.terminate()
        self.process.wait()


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
