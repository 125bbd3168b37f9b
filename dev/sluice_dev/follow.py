"""Following a job to its end, as `kubectl get ingestionjobs --watch` shows it."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sluice_api.status import Phase
from sluice_dev.errors import ClusterError
from sluice_dev.target import Target

PHASES: Final = frozenset(Phase)
NOTICED: Final = 60.0
"""Seconds within which an operator that works has given a new job its first status."""


def follow(target: Target, name: str, *, timeout: float) -> None:
    """Print each line of the watch until the job's phase is Completed.

    Raises ``ClusterError`` with the job's conditions when ``timeout`` seconds were not enough, or
    nobody gave it a status at all.
    """
    started = time.monotonic()
    with _watch(target, name, timeout) as watch:
        noticed = threading.Timer(NOTICED, watch.terminate)
        noticed.start()
        try:
            for line in watch.stdout or ():
                print(f"{time.monotonic() - started:6.1f} s  {line.rstrip()}", flush=True)
                phases = PHASES.intersection(line.split()[1:2])
                if Phase.COMPLETED in phases:
                    return
                if phases:
                    noticed.cancel()
        finally:
            noticed.cancel()
    raise ClusterError(
        f"job {name} was not complete after {time.monotonic() - started:.0f} s:\n"
        f"{why(target, name)}"
    )


@contextmanager
def _watch(target: Target, name: str, timeout: float) -> Iterator[subprocess.Popen[str]]:
    kubectl = target.kubectl
    command = [*kubectl.command, "get", "ingestionjobs", name, f"-n{target.jobs}", "--watch"]
    process = subprocess.Popen(
        command, env=kubectl.whole_environment, stdout=subprocess.PIPE, text=True
    )
    alarm = threading.Timer(timeout, process.terminate)
    alarm.start()
    try:
        yield process
    finally:
        alarm.cancel()
        process.terminate()
        process.wait()


def why(target: Target, name: str) -> str:
    """A job's conditions, the last events of its namespace, the operator's last words."""
    conditions = (
        r"--output=jsonpath={range .status.conditions[*]}"
        r"{.type}={.status} {.reason}: {.message}{'\n'}{end}"
    )
    found = []
    for namespace, *arguments in (
        (target.jobs, "get", "ingestionjob", name, conditions),
        (target.jobs, "get", "pods", "--output=wide"),
        (target.jobs, "get", "events", "--sort-by=.lastTimestamp"),
        (target.system, "logs", "deployment/sluice-operator", "--tail=20"),
    ):
        with suppress(ClusterError):
            found.append(target.kubectl(*arguments, f"-n{namespace}"))
    return "\n".join(found)
