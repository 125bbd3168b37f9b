"""The programs of the node: Debian's, unpacked, and Kubernetes and CoreDNS, built here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sluice_dev.artifacts import artifact
from sluice_dev.errors import ClusterError
from sluice_dev.paths import DEV, versions
from sluice_dev.processes import require, run
from sluice_dev.progress import Progress

COMMANDS: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)

VERSITYGW: Final = "github.com/versity/versitygw/cmd/versitygw"


def debian(progress: Progress) -> Path:
    """Return a folder that holds the files of the node's Debian packages, unpacked."""
    return _unpacked("debian", "node", progress)


def proxies(progress: Progress) -> Path:
    """Return a folder that holds the proxy servers of the tests, unpacked."""
    return _unpacked("proxies", "proxies", progress)


def servers(progress: Progress) -> Path:
    """Return a folder that holds the servers that tests stop and start themselves, unpacked."""
    return _unpacked("servers", "servers", progress)


def _unpacked(name: str, key: str, progress: Progress) -> Path:
    packages = versions()["debian"][key]
    require("apt-get", "the local cluster's parts come from Debian's packages")

    def build(folder: Path) -> None:
        download(packages, folder)

    return artifact(name, packages, build, progress)


def download(packages: Sequence[str], folder: Path) -> None:
    """Download Debian packages by name and unpack them into a folder."""
    cache = folder / "packages"
    cache.mkdir()
    try:
        run(["apt-get", "download", "-qq", *packages], cwd=cache)
    except ClusterError:
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "download", "-qq", *packages], cwd=cache)
    for package in sorted(cache.glob("*.deb")):
        run(["dpkg", "-x", package, folder])
        package.unlink()
    cache.rmdir()


def debian_environment(folder: Path) -> dict[str, str]:
    """Return the variables with which the unpacked programs find each other and their libraries."""
    programs = ":".join(str(folder / name) for name in ("usr/sbin", "usr/bin", "sbin", "bin"))
    return {
        "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": f"{folder}/usr/lib/x86_64-linux-gnu:{folder}/lib/x86_64-linux-gnu",
    }


def kubernetes(progress: Progress) -> Path:
    """Return a folder with every Kubernetes command, links to one binary (about five minutes)."""
    version = versions()["kubernetes"]["version"]
    major, minor, _patch = version.split(".")
    package = "k8s.io/component-base/version"
    flags = (
        f"-X {package}.gitVersion=v{version} -X {package}.gitMajor={major}"
        f" -X {package}.gitMinor={minor}"
    )

    def build(folder: Path) -> None:
        go_build(DEV / "kubernetes", folder / "kubernetes", flags)
        for command in COMMANDS:
            (folder / command).symlink_to("kubernetes")

    return artifact("kubernetes", [flags, *go_sources("kubernetes")], build, progress)


def coredns(progress: Progress) -> Path:
    """Return a folder with the ``coredns`` binary (about one minute)."""

    def build(folder: Path) -> None:
        go_build(DEV / "coredns", folder / "coredns")

    return artifact("coredns", go_sources("coredns"), build, progress)


def versitygw(progress: Progress) -> Path:
    """Return the program of an S3 server that keeps objects as files (about a minute)."""
    module = DEV / "versitygw"

    def build(folder: Path) -> None:
        go_build(module, folder / "versitygw", package=VERSITYGW)

    sources = (VERSITYGW, module / "go.mod", module / "go.sum")
    return artifact("versitygw", sources, build, progress) / "versitygw"


def go_sources(module: str) -> list[Path]:
    """List the files that a Go module of ours is built from."""
    return [DEV / module / name for name in ("main.go", "go.mod", "go.sum")]


def go_build(module: Path, target: Path, flags: str = "", package: str = ".") -> None:
    """Build a static binary from a package of a Go module, or of one that it requires."""
    require("go", "install Go 1.26 or newer: Kubernetes and CoreDNS are built from their modules")
    run(
        ["go", "build", "-trimpath", "-ldflags", f"-s -w {flags}".strip(), "-o", target, package],
        cwd=module,
        env={"CGO_ENABLED": "0"},
    )


def kafka(progress: Progress) -> Path:
    """Return a folder with the jars of Apache Kafka and what it depends on."""
    pins = versions()["kafka"]
    pom = (DEV / "images" / "kafka" / "pom.xml").read_text()
    pom = pom.replace("@KAFKA@", pins["version"]).replace("@SCALA@", pins["scala"])

    return _maven("kafka", pom, progress)


def connect(progress: Progress) -> Path:
    """Return a folder with the jars of Kafka Connect and of Debezium's JDBC sink."""
    pins = versions()["connect"]
    pom = (DEV / "images" / "connect" / "pom.xml").read_text()
    pom = pom.replace("@KAFKA@", versions()["kafka"]["version"])
    pom = pom.replace("@DEBEZIUM@", pins["debezium"]).replace("@HIBERNATE@", pins["hibernate"])
    pom = pom.replace("@AGROAL@", pins["agroal"])
    return _maven("connect", pom, progress)


def _maven(name: str, pom: str, progress: Progress) -> Path:
    """Return a folder whose ``libs`` holds the dependencies that a pom names."""

    def build(folder: Path) -> None:
        if not _has_maven():
            run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "maven"])
        (folder / "pom.xml").write_text(pom)
        goal = "dependency:copy-dependencies"
        run(["mvn", "-q", "-B", "-f", "pom.xml", goal, "-DoutputDirectory=libs"], cwd=folder)
        (folder / "pom.xml").unlink()

    return artifact(name, [pom], build, progress)


def _has_maven() -> bool:
    try:
        require("mvn", "")
    except ClusterError:
        return False
    return True
