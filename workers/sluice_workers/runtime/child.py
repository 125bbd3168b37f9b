"""A child process: imports its target, runs it in an event loop and tells the supervisor."""

import asyncio
import contextlib
import gc
import importlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

import uvloop

from sluice_api.errors import ConfigurationError
from sluice_api.names import JobName
from sluice_workers.runtime.context import ProcessContext
from sluice_workers.runtime.garbage import collect_seldom
from sluice_workers.runtime.logs import configure_logging
from sluice_workers.runtime.metrics import share_metrics

HEARTBEAT: Final = 1.0
"""Seconds between two messages to the supervisor."""
MISCONFIGURED: Final = 78
"""The exit code (EX_CONFIG) after a ``ConfigurationError``: starting again would not help."""

Target = Callable[[ProcessContext], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a child is to run."""

    role: str
    process: int
    target: str
    """``module:function``, an async function of a :class:`ProcessContext`."""
    folder: Path
    metrics_folder: Path
    job: JobName | None = None
    """Whose pod it is, for the log."""


def run_child(assignment: Assignment, pipe: Connection) -> None:
    """Run the target until it returns; the entry point of a spawned process.

    Sends a ``ProcessState`` every second, and a ``ConfigurationError`` as the last message.
    """
    gc.disable()
    configure_logging(assignment.role, assignment.process, assignment.job)
    share_metrics(assignment.metrics_folder, assignment.process)
    try:
        uvloop.run(_serve(assignment, pipe))
    except ConfigurationError as error:
        pipe.send(error)
        sys.exit(MISCONFIGURED)


async def _serve(assignment: Assignment, pipe: Connection) -> None:
    context = ProcessContext(assignment.process, assignment.folder)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, context.stopping.set)
    # The supervisor never writes: what becomes readable is the end of the pipe.
    loop.add_reader(pipe.fileno(), _orphaned, context, pipe)
    beating = asyncio.create_task(_beat(context, pipe))
    try:
        target = _load(assignment.target)
        collect_seldom()
        await target(context)
    finally:
        beating.cancel()
        loop.remove_reader(pipe.fileno())
        with contextlib.suppress(OSError):
            pipe.send(context.state)


def _orphaned(context: ProcessContext, pipe: Connection) -> None:
    asyncio.get_running_loop().remove_reader(pipe.fileno())
    log.warning("the supervisor is gone; stopping")
    context.stopping.set()


async def _beat(context: ProcessContext, pipe: Connection) -> None:
    with contextlib.suppress(OSError):
        while True:
            pipe.send(context.state)
            await asyncio.sleep(HEARTBEAT)


def _load(target: str) -> Target:
    module, _, function = target.partition(":")
    return cast("Target", getattr(importlib.import_module(module), function))
