"""The parent process of a pod: starts children, watches them, starts them again, stops them.

It opens no connection to a broker, database or API, so that none crosses into a child.
"""

import logging
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Final

from sluice_api.errors import ConfigurationError
from sluice_api.names import JobName
from sluice_workers.runtime.child import Assignment, run_child
from sluice_workers.runtime.health import Sighting
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.runtime.metrics import forget_gauges
from sluice_workers.runtime.server import PodServer
from sluice_workers.settings import PORT
from sluice_workers.state import ProcessState, Trouble

DRAIN: Final = 27.0
"""Seconds that children have to stop; a pod has 30."""
FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
"""Bounds of the wait before a child is started again, in seconds."""
HEALTHY_AFTER: Final = 60.0
"""Seconds after which a child that ends has not failed to start."""
POLL: Final = 0.5
"""Seconds between two looks at the clock and the signals."""

log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")


def supervise(
    role: str,
    processes: int,
    target: str,
    folder: Path,
    *,
    port: int = PORT,
    job: JobName | None = None,
) -> int:
    """Run ``processes`` children of ``target`` until SIGTERM or SIGINT, and serve their state.

    ``target`` is ``module:function``, an async function of a ``ProcessContext``. Returns the exit
    code: 0 when all children drained in time. Raises ``ConfigurationError`` when a child did.
    """
    configure_logging(role, job=job)
    with tempfile.TemporaryDirectory(prefix="sluice-metrics-") as metrics:
        assignments = [
            Assignment(role, index, target, folder, Path(metrics), job)
            for index in range(processes)
        ]
        children = [_Child(assignment) for assignment in assignments]

        def sightings() -> Sequence[Sighting]:
            return [child.sighting for child in children]

        with _stop_signals() as stopped, PodServer(role, sightings, Path(metrics), port):
            try:
                _watch(children, stopped)
            finally:
                drained = _stop(children)
    return 0 if drained else 1


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The stop signals received so far, while the handlers are in place."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(children: Sequence["_Child"], stopped: Sequence[int]) -> None:
    while not stopped:
        for child in children:
            child.start_if_due()
        _listen(children, POLL)
        for child in children:
            child.bury_if_dead()


def _listen(children: Sequence["_Child"], seconds: float) -> None:
    """Take what children sent; return when something arrived or the time is over."""
    pipes = {child.pipe: child for child in children if child.pipe is not None}
    for ready in wait(list(pipes), seconds):
        for pipe, child in pipes.items():
            if pipe is ready:
                child.receive()
    if not pipes:
        time.sleep(seconds)


def _stop(children: Sequence["_Child"]) -> bool:
    """Ask all children to stop, kill those that do not; tell whether all drained."""
    deadline = time.monotonic() + DRAIN
    running = [child for child in children if child.process is not None]
    for child in running:
        child.terminate()
    while any(child.alive for child in running) and time.monotonic() < deadline:
        _listen(running, 0.05)
    late = [child for child in running if child.alive]
    for child in late:
        log.error("process %d did not stop in %.0f s; killed", child.index, DRAIN)
        child.kill()
    return not late


class _Child:
    """One child over all its lives."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.index = assignment.process
        self.process: SpawnProcess | None = None
        self.pipe: Connection | None = None
        self.sighting = Sighting(ProcessState(process=self.index), heartbeat=None)
        self._restarts = 0
        self._failures = 0
        self._started_at = 0.0
        self._start_at = 0.0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def start_if_due(self) -> None:
        """Start the process when it does not run and its delay is over."""
        if self.process is not None or time.monotonic() < self._start_at:
            return
        self.pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(
            target=run_child,
            args=(self._assignment, theirs),
            name=f"{self._assignment.role}-{self.index}",
            daemon=True,
        )
        self.process.start()
        theirs.close()
        self._started_at = time.monotonic()
        self._see(ProcessState(process=self.index))

    def receive(self) -> None:
        """Take one message. Raises the child's ``ConfigurationError``."""
        if self.pipe is None:
            return
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            self.pipe.close()
            self.pipe = None
            return
        if isinstance(message, ConfigurationError):
            raise message
        self._see(message)

    def bury_if_dead(self) -> None:
        """Note a process that ended, and when it is to be started again."""
        if self.process is None or self.process.is_alive():
            return
        while self.pipe is not None and self.pipe.poll():
            self.receive()
        code = self.process.exitcode
        self._close()
        now = time.monotonic()
        self._failures = 1 if now - self._started_at > HEALTHY_AFTER else self._failures + 1
        self._restarts += 1
        delay = min(FIRST_DELAY * 2 ** (self._failures - 1), LONGEST_DELAY)
        self._start_at = now + delay
        message = f"Process {self.index} ended with exit code {code}; its log says why."
        log.error("%s It is started again in %.0f s.", message, delay)
        trouble = Trouble(reason="ProcessEnded", message=message)
        state = ProcessState(process=self.index, restarts=self._restarts, trouble=trouble)
        self.sighting = Sighting(state, heartbeat=None)
        forget_gauges(self._assignment.metrics_folder, self.index)

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def _see(self, state: ProcessState) -> None:
        known = state.model_copy(update={"restarts": self._restarts})
        self.sighting = Sighting(known, heartbeat=time.monotonic())

    def _close(self) -> None:
        if self.process is not None:
            self.process.close()
        if self.pipe is not None:
            self.pipe.close()
        self.process = self.pipe = None
