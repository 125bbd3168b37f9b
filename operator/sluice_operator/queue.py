"""Wakes the reconciler: one task for each job, never two looks at the same job at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sluice_api.names import JobName

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 30.0
"""Seconds between two looks that failed: doubled each time, up to this."""
GATHER: Final = 0.1
"""Seconds in which wake-ups are gathered: one change is often several events."""
_LOG: Final = logging.getLogger(__name__)

Reconcile = Callable[[JobName], Awaitable[float | None]]


class WorkQueue:
    """Runs ``reconcile`` for a job when it is woken, and again after the time that it returned."""

    def __init__(self, reconcile: Reconcile) -> None:
        self._reconcile = reconcile
        self._tasks: dict[JobName, asyncio.Task[None]] = {}
        self._woken: dict[JobName, asyncio.Event] = {}

    def wake(self, job: JobName) -> None:
        """Look at a job soon."""
        self._woken.setdefault(job, asyncio.Event()).set()
        if job not in self._tasks:
            self._tasks[job] = asyncio.create_task(self._run(job), name=str(job))

    async def close(self) -> None:
        """Stop looking at anything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: JobName) -> None:
        woken, retry = self._woken[job], FIRST_RETRY
        while True:
            woken.clear()
            try:
                delay = await self._reconcile(job)
                retry = FIRST_RETRY
            except Exception:  # noqa: BLE001  whatever it was, the next look may succeed
                _LOG.exception("the look failed, next in %.0f s", retry, extra={"job": str(job)})
                await asyncio.sleep(retry)
                delay, retry = 0, min(2 * retry, LAST_RETRY)
            if delay is None and not woken.is_set():
                break
            await _wait(woken, delay or 0)
        del self._tasks[job], self._woken[job]


async def _wait(woken: asyncio.Event, delay: float) -> None:
    try:
        async with asyncio.timeout(delay):
            await woken.wait()
    except TimeoutError:
        return
    await asyncio.sleep(GATHER)
