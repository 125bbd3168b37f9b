"""A Postgres of the test's own on loopback: to stop it, fill it, lose it, or hide it behind TLS.

It is the one of the local cluster's services, run from their file system.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg

from integration.processes import free_port
from sluice_dev.images import services_root
from sluice_dev.progress import Progress

BIN: Final = "/usr/lib/postgresql/15/bin"
OWNER: Final = "postgres"
PASSWORD: Final = "own-secret"
_ENTER: Final = """
    root=$1 folder=$2 user=$3; shift 3
    mount --bind "$folder" "$root/srv"
    mkdir -p "$folder/small"
    mount -t tmpfs -o size=4m tmpfs "$root/srv/small"
    chroot "$root" chown "$user" /srv/small
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    exec chroot --userspec="$user" "$root" setpriv --pdeathsig KILL "$@"
"""
"""Runs a program in the services' file system, with the folder as /srv; its pid stays ours.

/srv/small is a disk of the program's own that is full soon.
"""
_SETTINGS: Final = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '/srv'
fsync = off
shared_buffers = 16MB
max_connections = 30
max_wal_senders = 4
wal_keep_size = 64MB
logging_collector = off
"""
_RULES: Final = """
local all all trust
hostssl all tls_only all scram-sha-256
hostnossl all tls_only all reject
host replication all 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


class OwnPostgres:
    """A server whose data is in ``folder``; started and stopped as the test wishes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self.give(folder)

    @property
    def uri(self) -> str:
        """The URI of the database ``postgres``, for its superuser."""
        return self.uri_of(OWNER, PASSWORD)

    def uri_of(self, user: str, password: str, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def give(self, path: Path) -> None:
        """Make a file the server's own, which it insists on."""
        passwd = services_root(Progress()) / "etc" / "passwd"
        line = next(each for each in passwd.read_text().splitlines() if each.startswith("postgres"))
        user, group = line.split(":")[2:4]
        os.chown(path, int(user), int(group))

    def create(self) -> None:
        """Make an empty cluster, and start it."""
        (self.folder / "password").write_text(PASSWORD)
        self.run(
            "initdb", f"--username={OWNER}", "--pwfile=/srv/password", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--pgdata=/srv/data",
        )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        (self.folder / "data" / "pg_hba.conf").write_text(_RULES)
        self.start()

    def copy(self, primary: "OwnPostgres") -> None:
        """Become a streaming replica of another server, and start."""
        self.run(
            "pg_basebackup", "--host=127.0.0.1", f"--port={primary.port}", f"--username={OWNER}",
            "--pgdata=/srv/data", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", "/srv/data", "-p", str(self.port)),
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Whether it takes connections: its file of that name says so in its last line."""
        path = self.folder / "data" / "postmaster.pid"
        words = path.read_text().split() if path.is_file() else []
        return words[-1:] in (["ready"], ["standby"])

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast`` in order, ``immediate`` as if it had crashed."""
        if self._process is not None:
            self.run("pg_ctl", "stop", "-D", "/srv/data", "-m", mode, "-w")
            self._process.wait(30)
            self._process = None

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-D", "/srv/data", "-w")

    def reload(self) -> None:
        self.run("pg_ctl", "reload", "-D", "/srv/data")

    def set(self, **settings: str) -> None:
        """Change settings that a reload brings into force."""
        with (self.folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.reload()

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(self._command(program, *arguments), check=True, capture_output=True)

    def _command(self, program: str, *arguments: str) -> list[str]:
        root = str(services_root(Progress()))
        owner = f"{OWNER}:{OWNER}"
        enter = ["unshare", "--mount", "sh", "-ec", _ENTER, "sh", root, str(self.folder), owner]
        return [*enter, f"{BIN}/{program}", *arguments]

    async def execute(self, statements: str, uri: str | None = None) -> None:
        connection = await asyncpg.connect(uri or self.uri)
        try:
            await connection.execute(statements)
        finally:
            await connection.close()


@contextmanager
def own_postgres(folder: Path) -> Iterator[OwnPostgres]:
    """A running server that ends with the test, its data with it."""
    found = OwnPostgres(folder)
    try:
        found.create()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)
