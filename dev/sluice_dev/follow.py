"""Following a job to its end, as `kubectl get ingestionjobs --watch` shows it."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sluice_dev.errors import ClusterError
from sluice_dev.target import Target


def follow(target: Target, name: str, *, timeout: float) -> None:
    """Print each line of the watch until the job's phase is Completed.

    Raises ``ClusterError`` with the job's conditions when ``timeout`` seconds were not enough.
    """
    started = time.monotonic()
    with _watch(target, name, timeout) as lines:
        for line in lines:
            print(f"{time.monotonic() - started:6.1f} s  {line.rstrip()}", flush=True)
            if line.split()[1:2] == ["Completed"]:
                return
    if time.monotonic() - started < timeout:
        raise ClusterError(f"the watch of job {name} ended early")
    raise ClusterError(f"job {name} was not complete after {timeout:.0f} s:\n{why(target, name)}")


@contextmanager
def _watch(target: Target, name: str, timeout: float) -> Iterator[Iterator[str]]:
    kubectl = target.kubectl
    command = [*kubectl.command, "get", "ingestionjobs", name, f"-n{target.jobs}", "--watch"]
    process = subprocess.Popen(
        command, env=kubectl.whole_environment, stdout=subprocess.PIPE, text=True
    )
    alarm = threading.Timer(timeout, process.terminate)
    alarm.start()
    try:
        yield iter(process.stdout or ())
    finally:
        alarm.cancel()
        process.terminate()
        process.wait()


def why(target: Target, name: str) -> str:
    """A job's conditions and the last events of its namespace, for a person to read."""
    conditions = (
        r"--output=jsonpath={range .status.conditions[*]}"
        r"{.type}={.status} {.reason}: {.message}{'\n'}{end}"
    )
    found = []
    for arguments in (
        ("get", "ingestionjob", name, conditions),
        ("get", "pods", "--output=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
    ):
        with suppress(ClusterError):
            found.append(target.kubectl(*arguments, f"-n{target.jobs}"))
    return "\n".join(found)
