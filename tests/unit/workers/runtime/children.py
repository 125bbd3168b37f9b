"""Targets that the supervisor's tests run in real processes."""

import asyncio
import os
import signal

from sluice_api.errors import ConfigurationError
from sluice_workers.runtime import ProcessContext
from sluice_workers.state import ProcessState


async def works(context: ProcessContext) -> None:
    """Count, say so, drain."""
    from prometheus_client import Counter, Gauge  # noqa: PLC0415 - a role's module does so

    Counter("sluice_test_starts", "Starts.").inc()
    Gauge("sluice_test_running", "Running.", multiprocess_mode="livesum").set(1)
    context.report(ProcessState(process=context.index, ready=True, done=7))
    await context.stopping.wait()
    (context.folder / f"drained-{context.index}").touch()


async def dies_first(context: ProcessContext) -> None:
    """Die by SIGKILL in the first life, work in the second."""
    marker = context.folder / f"died-{context.index}"
    if context.index == 0 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    await works(context)


async def misconfigured(context: ProcessContext) -> None:
    """Find its configuration wrong."""
    await asyncio.sleep(0)
    raise ConfigurationError(f"headers/{context.index}: must be text, found bytes")


async def never_stops(context: ProcessContext) -> None:
    """Ignore that it should stop."""
    context.report(ProcessState(process=context.index, ready=True))
    await asyncio.Event().wait()
