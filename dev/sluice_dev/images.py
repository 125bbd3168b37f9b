"""The images of the local cluster: what each is made of."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sluice_dev import binaries
from sluice_dev.artifacts import Part, artifact, digest
from sluice_dev.oci import ImageConfig, write_image, write_layer
from sluice_dev.paths import DEV, PROJECT, versions
from sluice_dev.processes import require, run
from sluice_dev.progress import Progress

PAUSE: Final = "localhost/sluice-pause:1"
COREDNS: Final = "localhost/sluice-coredns:1"
KAFKA: Final = "localhost/sluice-kafka:4.3.1"
POSTGRES: Final = "localhost/sluice-postgres:15"
REDIS: Final = "localhost/sluice-redis:7"

_NOT_NEEDED: Final = (
    "usr/share/doc/* usr/share/man/* usr/share/locale/* usr/share/i18n/* usr/share/perl/*"
    " usr/lib/x86_64-linux-gnu/libLLVM-* usr/lib/x86_64-linux-gnu/libz3.so*"
    " usr/lib/postgresql/15/lib/bitcode usr/lib/postgresql/15/lib/llvmjit.so"
    " usr/lib/jvm/*/lib/ct.sym usr/lib/jvm/*/lib/server/classes_nocoops.jsa"
    " var/lib/postgresql/15 var/lib/apt/lists/* var/cache/apt/* var/log/*"
)
_PROJECT_SOURCES: Final = (
    "crds/sluice_api",
    "workers/sluice_handler",
    "workers/sluice_workers",
    "operator/sluice_operator",
    "cli/sluice_cli",
    "migrations/sluice_migrations",
)
_KAFKA_SCRIPTS: Final = (
    "kafka-server-start.sh",
    "kafka-storage.sh",
    "kafka-topics.sh",
    "kafka-consumer-groups.sh",
    "kafka-console-consumer.sh",
    "kafka-console-producer.sh",
    "kafka-get-offsets.sh",
)


def rootfs(name: str, packages: Sequence[str], progress: Progress) -> Path:
    """Return the tar of a minimal Debian with some packages: the first layer of images."""
    suite = versions()["debian"]["suite"]
    tools = binaries.debian(progress)

    def build(folder: Path) -> None:
        require("perl", "apt-get install perl-base: mmdebstrap is written in it")
        hook = f'cd "$1" && rm -rf {_NOT_NEEDED}'
        include = f"--include={','.join(packages)}"
        target = folder / "layer.tar"
        options = ["--quiet", "--variant=minbase", include, f"--customize-hook={hook}"]
        environment = binaries.debian_environment(tools)
        run(["mmdebstrap", *options, suite, target], env=environment)

    folder = artifact(f"rootfs-{name}", [suite, *packages, _NOT_NEEDED], build, progress)
    return folder / "layer.tar"


def cluster_images(progress: Progress) -> list[Path]:
    """Return the archives of pause and CoreDNS, without which no pod starts."""
    return [_pause(progress), _coredns(progress)]


def _pause(progress: Progress) -> Path:
    source = DEV / "images" / "pause" / "pause.c"

    def build(folder: Path) -> None:
        require("cc", "apt-get install gcc libc6-dev")
        run(["cc", "-static", "-Os", "-s", "-o", folder / "pause", source])
        write_layer(folder / "layer.tar", {"pause": folder / "pause"})
        config = ImageConfig(entrypoint=("/pause",), user="65535")
        write_image(folder / "image.tar", PAUSE, [folder / "layer.tar"], config)

    return artifact("image-pause", [source], build, progress) / "image.tar"


def _coredns(progress: Progress) -> Path:
    binary = binaries.coredns(progress) / "coredns"

    def build(folder: Path) -> None:
        write_layer(folder / "layer.tar", {"coredns": binary})
        config = ImageConfig(entrypoint=("/coredns",), user="65532")
        write_image(folder / "image.tar", COREDNS, [folder / "layer.tar"], config)
        (folder / "layer.tar").unlink()

    return artifact("image-coredns", [binary.parent.name], build, progress) / "image.tar"


def service_images(progress: Progress) -> list[Path]:
    """Return the archives of Kafka, Postgres and Redis, which share their first layer."""
    base = rootfs("services", versions()["debian"]["services"], progress)
    jars = binaries.kafka(progress)
    scripts = sorted((DEV / "images").glob("*/*.*"))

    def build(folder: Path) -> None:
        kafka, postgres = folder / "kafka.layer", folder / "postgres.layer"
        write_layer(kafka, _kafka_files(jars))
        entrypoint = (DEV / "images" / "postgres" / "docker-entrypoint.sh").read_bytes()
        files = {"usr/local/bin/docker-entrypoint.sh": entrypoint, "etc/passwd": _POSTGRES_USERS}
        write_layer(postgres, files)
        write_image(folder / "kafka.tar", KAFKA, [base, kafka], _KAFKA_CONFIG)
        write_image(folder / "postgres.tar", POSTGRES, [base, postgres], _POSTGRES_CONFIG)
        write_image(folder / "redis.tar", REDIS, [base], _REDIS_CONFIG)
        kafka.unlink()
        postgres.unlink()

    key: list[Part] = [base.parent.name, jars.name, *scripts]
    folder = artifact("image-services", key, build, progress, keep=2)
    return [folder / f"{name}.tar" for name in ("kafka", "postgres", "redis")]


def services_root(progress: Progress) -> Path:
    """Return the file system of Kafka, Postgres and Redis as a folder, not to be written to."""
    layer = rootfs("services", versions()["debian"]["services"], progress)
    jars = binaries.kafka(progress)

    def build(folder: Path) -> None:
        run(["tar", "--extract", "--exclude=./dev/*", f"--file={layer}", f"--directory={folder}"])
        shutil.copytree(jars / "libs", folder / "opt" / "kafka" / "libs")

    return artifact("services-root", [layer.parent.name, jars.name], build, progress, keep=2)


_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KAFKA_CONFIG: Final = ImageConfig(user="1000", environment={"PATH": _PATH})
_POSTGRES_USERS: Final = (
    b"root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n"
)
_POSTGRES_CONFIG: Final = ImageConfig(
    entrypoint=("docker-entrypoint.sh",),
    command=("postgres",),
    user="999",
    environment={"PATH": f"/usr/lib/postgresql/15/bin:{_PATH}", "LANG": "C.UTF-8"},
)
_REDIS_CONFIG: Final = ImageConfig(
    command=("redis-server",), user="999", environment={"PATH": _PATH}
)


def _kafka_files(jars: Path) -> dict[str, Path | bytes]:
    run_class = (DEV / "images" / "kafka" / "run-class.sh").read_bytes()
    logging = (DEV / "images" / "kafka" / "log4j2.properties").read_bytes()
    files: dict[str, Path | bytes] = {f"opt/kafka/bin/{name}": run_class for name in _KAFKA_SCRIPTS}
    return files | {"opt/kafka/libs": jars / "libs", "opt/kafka/config/log4j2.properties": logging}


def project_image(progress: Progress) -> tuple[str, Path]:
    """Return the reference and the archive of this project's image.

    Its dependencies are a layer of their own, so that a change of the code rebuilds little.
    """
    base = rootfs("python", versions()["debian"]["python"], progress)
    requirements = PROJECT / "requirements.txt"
    dependencies = artifact(
        "python-packages", [requirements], lambda folder: _install(folder, requirements), progress
    )
    sources = [path for name in _PROJECT_SOURCES for path in _files(PROJECT / name)]
    names = [str(path.relative_to(PROJECT)) for path in sources]
    launcher = DEV / "images" / "sluice" / "sluice"
    key: list[Part] = [base.parent.name, dependencies.name, launcher, *names, *sources]
    reference = f"localhost/sluice-operator:dev-{digest(key)}"

    def build(folder: Path) -> None:
        code = folder / "code"
        for name in _PROJECT_SOURCES:
            shutil.copytree(PROJECT / name, code / Path(name).name, ignore=_IGNORED)
        _compile(code)
        layer = folder / "code.layer"
        write_layer(layer, {"opt/sluice/app": code, "usr/local/bin/sluice": launcher.read_bytes()})
        layers = [base, dependencies / "layer.tar", layer]
        write_image(folder / "image.tar", reference, layers, _PROJECT_CONFIG)
        shutil.rmtree(code)
        layer.unlink()

    return reference, artifact("image-sluice", key, build, progress, keep=3) / "image.tar"


_IGNORED: Final = shutil.ignore_patterns("__pycache__")
_PROJECT_CONFIG: Final = ImageConfig(
    entrypoint=("sluice",),
    user="65532:65532",
    environment={
        "PATH": _PATH,
        "PYTHONPATH": "/opt/sluice/app:/opt/sluice/packages",
        "PYTHONUNBUFFERED": "1",
    },
)


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _install(folder: Path, requirements: Path) -> None:
    """Fill a layer with the pinned packages, for the image's Python 3.11."""
    packages = folder / "packages"
    pip = ["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", f"--target={packages}"]
    run([*pip, *options, "-r", requirements])
    _compile(packages)
    write_layer(folder / "layer.tar", {"opt/sluice/packages": packages})
    shutil.rmtree(packages)


def _compile(folder: Path) -> None:
    """Compile the modules: the containers' file systems are read-only."""
    mode = "--invalidation-mode=unchecked-hash"
    run(["python", "-m", "compileall", "-q", mode, "-s", folder, folder])
