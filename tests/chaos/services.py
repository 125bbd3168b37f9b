"""Kafka, Postgres and Redis as nodes of the run: the manifests' own configuration, small."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from chaos.nodes import Node
from sluice_dev.paths import PROJECT

ROOT: Final = Path("/run/root")
"""The services' file system, read-only but for what is mounted below."""
OWN: Final = ROOT / "srv"
ANSWERS: Final = Path("/run/api-answers")
"""Holds the kind of fault that the API suffers from, or nothing."""
PROXY_PORT: Final = 3128
"""Configuration and data of the run, in memory."""
MANIFESTS: Final = PROJECT / "manifests" / "base" / "services"
SERVICE_USER: Final = "postgres:postgres"
"""One user for all three: Postgres insists on one that has a name, and is not root."""
POSTGRES_BIN: Final = "/usr/lib/postgresql/15/bin"
READY: Final = 60.0
"""Seconds that a service has to accept its first connection."""


def prepare(image: Path) -> None:
    """Mount the services' file system and put their configuration in it."""
    ROOT.mkdir()
    _mount("--rbind", "-o", "ro", str(image), str(ROOT))
    for name in ("srv", "tmp"):
        _mount("-t", "tmpfs", "tmpfs", str(ROOT / name))
    for name in ("dev", "proc"):
        _mount("--rbind", f"/{name}", str(ROOT / name))
    for name in ("kafka", "postgres", "redis"):
        shutil.copytree(MANIFESTS / name, OWN / name)
        (OWN / name / "data").mkdir()
    subprocess.run(["chroot", str(ROOT), "chown", "-R", SERVICE_USER, "/srv"], check=True)
    (ROOT / "tmp").chmod(0o1777)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _chroot(*command: str) -> list[str]:
    return ["chroot", f"--userspec={SERVICE_USER}", str(ROOT), *command]


def kafka(name: str, number: int) -> Node:
    """Make a broker of one node, with its storage formatted."""
    java = ("/usr/bin/java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    classes = (
        "-Dlog4j2.configurationFile=/srv/kafka/log4j2.properties",
        "-cp",
        "/opt/kafka/libs/*",
    )
    _edit(OWN / "kafka" / "server.properties", "/var/lib/kafka/data", "/srv/kafka/data")
    where = "/srv/kafka/server.properties"
    form = (*java, "-Xmx128m", *classes, "kafka.tools.StorageTool", "format")
    _once("kafka", *form, "--cluster-id", "c2x1aWNlLWNoYW9zLTAwMQ", "--config", where)
    run = (*java, "-Xmx512m", "-Xms256m", *classes, "kafka.Kafka", where)
    listener = f"advertised.listeners=PLAINTEXT://10.214.0.{number}:9092"
    return Node(name, number, _chroot(*run, "--override", listener))


def postgres(name: str, number: int) -> Node:
    """Make a database server with an empty cluster; everybody in the run's network is trusted."""
    form = ("initdb", "--username=sluice", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    _once("postgres", f"{POSTGRES_BIN}/{form[0]}", *form[1:], "--no-sync", "/srv/postgres/data")
    with (OWN / "postgres" / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all trust\n")
    settings = {
        "config_file": "/srv/postgres/postgresql.conf",
        "unix_socket_directories": "/tmp",
        # The order of the commits is what the histories are read in.
        "track_commit_timestamp": "on",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    run = _chroot(f"{POSTGRES_BIN}/postgres", "-D", "/srv/postgres/data", *options)
    return Node(name, number, run)


def create_database(name: str) -> None:
    """Create a database on the running server."""
    program = f"{POSTGRES_BIN}/createdb"
    _once("postgres", program, "--host=/tmp", "--username=sluice", name)


def stop_immediately(node: Node) -> None:
    """Stop Postgres without a checkpoint, and wait until it has gone."""
    data = ("-D", "/srv/postgres/data")
    node.inside(*_chroot(f"{POSTGRES_BIN}/pg_ctl", *data, "stop", "-m", "immediate", "-t", "4"))
    node.kill()


def redis(name: str, number: int) -> Node:
    """Make a Redis that keeps its keys."""
    _edit(OWN / "redis" / "redis.conf", "dir /data", "dir /srv/redis/data")
    return Node(name, number, _chroot("/usr/bin/redis-server", "/srv/redis/redis.conf"))


def flush(node: Node) -> None:
    """Empty a Redis."""
    node.inside(*_chroot("/usr/bin/redis-cli", "-h", node.address, "FLUSHALL"))


def answer_with(kind: str) -> None:
    """Let the API answer as a kind of fault has it; as it is asked, where that is empty."""
    ANSWERS.write_text(kind)


def proxy(name: str, number: int, programs: Path) -> Node:
    """Make a tinyproxy, which everybody may use."""
    address = f"10.214.0.{number}"
    settings = OWN / f"{name}.conf"
    settings.write_text(
        f"Port {PROXY_PORT}\nListen {address}\nMaxClients 500\nTimeout 60\nLogLevel Error\n"
        "DisableViaHeader Yes\n"
    )
    node = Node(name, number, [str(programs / "usr/bin/tinyproxy"), "-d", "-c", str(settings)])
    libraries = str(programs / "usr/lib/x86_64-linux-gnu")
    node.environment = {**node.environment, "LD_LIBRARY_PATH": libraries}
    return node


def python(name: str, number: int, module: str) -> Node:
    """Make a server that a module of the tests is; it is told its address."""
    return Node(name, number, [sys.executable, "-m", module, f"10.214.0.{number}"])


def socks(name: str, number: int, programs: Path) -> Node:
    """Make a microsocks."""
    place = ("-i", f"10.214.0.{number}", "-p", str(PROXY_PORT))
    return Node(name, number, [str(programs / "usr/bin/microsocks"), *place])


def _edit(file: Path, before: str, after: str) -> None:
    """Change a word of a manifest's configuration that must be there."""
    text = file.read_text()
    if before not in text:
        raise RuntimeError(f"{file.name} of the manifests has no {before!r} any more")
    file.write_text(text.replace(before, after))


def _once(name: str, *command: str) -> None:
    found = subprocess.run(_chroot(*command), capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{name} cannot be set up: {found.stdout}{found.stderr}")


def wait_for_port(node: Node, port: int) -> None:
    """Return when a service accepts connections. Raises ``RuntimeError`` with its log's end."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and node.runs:
        try:
            socket.create_connection((node.address, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    tail = "\n".join(node.log.read_text(errors="replace").splitlines()[-20:])
    raise RuntimeError(f"{node.name} does not answer at port {port}:\n{tail}")
