"""``make chaos``: a run in namespaces of its own, which end with it, whatever ends it."""

import asyncio
import logging
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, Protocol

import click

from chaos import report
from chaos.fetch.run import Run as FetchRun
from chaos.nodes import LOGS
from chaos.run import Run as WriteRun
from sluice_dev.errors import ClusterError
from sluice_dev.images import services_root
from sluice_dev.paths import cache_folder
from sluice_dev.processes import TETHER, require
from sluice_dev.progress import Progress


class Target(Protocol):
    """A run of a seed and a number of faults."""

    async def go(self) -> report.Outcome:
        """Hurt, let all come to its end, and judge."""


WRITE: Final = "write"
TARGETS: Final[dict[str, Callable[[int, int], Target]]] = {WRITE: WriteRun, "fetch": FetchRun}
FAULTS: Final = 200
QUICK: Final = 14
"""Faults that take well under two minutes."""
APART: Final = (
    # When whoever called dies, so does unshare, with it the first process of the pid namespace,
    # and with that all processes, mounts, networks and shared memory of the run.
    *TETHER,
    "unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child", "--mount-proc",
)  # fmt: skip
INSIDE: Final = "SLUICE_CHAOS_INSIDE"


def number(name: str, default: int) -> int:
    """Return a number that the environment gives. Raises ``SystemExit`` with what is wrong."""
    found = os.environ.get(name) or str(default)
    if not found.isdecimal():
        raise SystemExit(f"{name} must be a whole number, found {found!r}")
    return int(found)


def target() -> str:
    """Return what is hurt. Raises ``SystemExit`` with what is wrong."""
    found = os.environ.get("TARGET") or WRITE
    if found not in TARGETS:
        raise SystemExit(f"TARGET must be {' or '.join(TARGETS)}, found {found!r}")
    return found


def _target_of_make() -> str:
    return f"TARGET={target()} " if target() != WRITE else ""


def main() -> int:
    """Enter namespaces of the run's own, or run inside of them."""
    if os.environ.get(INSIDE):
        return run(number("SEED", 0), number("FAULTS", 0))
    seed = number("SEED", secrets.randbelow(1_000_000))
    faults = number("FAULTS", QUICK if os.environ.get("QUICK") else FAULTS)
    if os.geteuid() != 0:
        raise SystemExit("chaos needs root: it makes network and pid namespaces")
    try:
        for tool, package in (("unshare", "util-linux"), ("ip", "iproute2")):
            require(tool, f"apt-get install {package}")
        services_root(Progress())
    except ClusterError as error:
        raise SystemExit(str(error)) from error
    return enter(seed, faults)


def enter(seed: int, faults: int) -> NoReturn:
    """Become the run."""
    click.echo(f"seed {seed}; once more: make chaos {_target_of_make()}SEED={seed} FAULTS={faults}")
    environment = {INSIDE: "1", "SEED": str(seed), "FAULTS": str(faults)}
    os.execvpe(APART[0], [*APART, sys.executable, "-m", "chaos"], os.environ | environment)


def run(seed: int, faults: int) -> int:
    """Run in the namespaces that are ours by now; return the exit code."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    Path("/run/netns").mkdir()
    LOGS.mkdir()
    # What the clients of the test say about a broker that is away is of interest only afterwards.
    logging.basicConfig(
        filename=LOGS / "run.log", level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    try:
        outcome = asyncio.run(TARGETS[target()](seed, faults).go())
    except KeyboardInterrupt:
        click.echo("interrupted: nothing of it is left running", err=True)
        return 130
    except BaseException:
        keep_logs(seed)
        raise
    report.show_faults(outcome.faults, outcome.recovery)
    report.show_work(outcome.work, outcome.drained)
    if not outcome.verdict.holds:
        report.show_verdict(outcome.verdict)
        keep_logs(seed)
        click.echo(f"once more: make chaos {_target_of_make()}SEED={seed} FAULTS={faults}")
    click.echo(report.line(target(), seed, faults, outcome.verdict))
    return 0 if outcome.verdict.holds else 1


def keep_logs(seed: int) -> None:
    """Copy the nodes' logs to where they outlive the run."""
    kept = cache_folder() / "chaos" / str(seed)
    shutil.rmtree(kept, ignore_errors=True)
    if LOGS.is_dir():
        shutil.copytree(LOGS, kept)
        click.echo(f"the logs of all nodes: {kept}", err=True)


if __name__ == "__main__":
    sys.exit(main())
