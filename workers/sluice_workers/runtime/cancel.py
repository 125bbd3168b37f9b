"""Ending tasks for good."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

AGAIN: Final = 0.2
"""Seconds after which a task that goes on is cancelled once more."""


async def cancel(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until all have ended.

    Once is not enough: a client that is just ending a request may take the cancellation for a
    failure of its own, and swallow it.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
