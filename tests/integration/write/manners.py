"""A writer's job on a Postgres of the test's own: its state, its Secret, its migration."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from integration.fetch.servers import command, until_it_listens
from integration.postgres_server import OwnPostgres
from integration.processes import free_port
from sluice_dev.processes import TETHER
from sluice_workers.settings import MigrateSettings, WriterSettings

USER, PASSWORD = "loader", "first-secret"


async def loader(server: OwnPostgres, user: str = USER, database: str = "warehouse") -> str:
    """Make a database whose owner is an ordinary user; return its URI."""
    await server.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    await server.execute(f"CREATE DATABASE {database} OWNER {user}")
    return server.uri_of(user, PASSWORD, database)


def secret(folder: Path, uri: str, authority: bytes | None = None) -> None:
    """Write the sink's Secret anew, as the kubelet does: all of a file or nothing of it."""
    sink = folder / "sink"
    sink.mkdir(exist_ok=True)
    (sink / ".new").write_text(uri)
    (sink / ".new").replace(sink / "uri")
    (sink / "ca.crt").unlink(missing_ok=True)
    if authority is not None:
        (sink / "ca.crt").write_bytes(authority)


async def said(port: int) -> dict[str, str]:
    """What the one process of a pod says is wrong, and how often it was started again."""
    async with aiohttp.ClientSession() as client:
        try:
            async with client.get(f"http://127.0.0.1:{port}/state") as answer:
                (process,) = (await answer.json())["processes"]
        except aiohttp.ClientError:
            return {"reason": "", "message": "", "restarts": "0"}
    trouble = process["trouble"] or {"reason": "", "message": ""}
    return {**trouble, "restarts": str(process["restarts"])}


async def wait_for_trouble(port: int, reason: str, words: str = "", seconds: float = 60) -> str:
    """Wait until a pod's state names what keeps it from its work; return its sentence."""
    found: dict[str, str] = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = await said(port) or found
                if found["reason"] == reason and words in found["message"]:
                    return found["message"]
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"no {reason} with {words!r} was said, but {found}") from None


async def migrate(folder: Path) -> tuple[int, str]:
    """Run ``sluice migrate`` as the Job of the operator does; return its code and last words."""
    writer = WriterSettings.read(folder, "writer")
    settings = MigrateSettings(
        namespace=writer.namespace, name=writer.name, uid=writer.uid, sink=writer.sink
    )
    (folder / "settings" / "migrate.json").write_text(settings.model_dump_json(by_alias=True))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sluice_cli", "migrate", "--folder", folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, (output.decode().splitlines() or [""])[-1]


@contextmanager
def pgbouncer(folder: Path, server: OwnPostgres, database: str, *, pool: int) -> Iterator[int]:
    """Debian's PgBouncer in transaction mode before a server; yields its port."""
    port, ini = free_port(), folder / "pgbouncer.ini"
    behind = {
        "host": "127.0.0.1", "port": server.port, "dbname": database, "user": USER,
        "password": PASSWORD,
    }  # fmt: skip
    line = " ".join(f"{name}={value}" for name, value in behind.items())
    settings = {
        "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "",
        "auth_type": "any", "pool_mode": "transaction", "default_pool_size": pool,
        "max_client_conn": 100, "user": "nobody",
    }  # fmt: skip
    lines = [f"{name} = {value}" for name, value in settings.items()]
    ini.write_text("\n".join(["[databases]", f"{database} = {line}", "[pgbouncer]", *lines, ""]))
    program, environment = command("sbin/pgbouncer", "-q", str(ini))
    process = subprocess.Popen([*TETHER, *program], env=environment, stdout=subprocess.DEVNULL)
    try:
        until_it_listens(process, port)
        yield port
    finally:
        process.kill()
        process.wait()
