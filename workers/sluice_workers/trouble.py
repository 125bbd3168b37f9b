"""What keeps a process from its work: logged when it begins, shown at ``/state`` while it lasts."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from sluice_workers.state import Trouble

LASTS: Final = 5.0
"""Seconds after which a trouble that did not come again is over."""
PAUSE: Final = 1.0
"""Seconds between two tries of what failed outside."""
_LOG: Final = logging.getLogger(__name__)


Say: TypeAlias = Callable[[str, str], None]
"""Takes the reason and the message of a trouble."""


class Troubles:
    """The newest trouble of a process."""

    def __init__(self) -> None:
        self._newest: Trouble | None = None
        self._at = 0.0

    def say(self, reason: str, message: str) -> None:
        """Note a trouble; it is logged when its reason is another than before."""
        before = self.current()
        if before is None or before.reason != reason:
            _LOG.warning("%s: %s", reason, message)
        self._newest, self._at = Trouble(reason=reason, message=message), time.monotonic()

    def clear(self) -> None:
        """Note that the work goes on."""
        self._newest = None

    def current(self) -> Trouble | None:
        """Return the newest trouble, unless it is over."""
        lasting = time.monotonic() - self._at <= LASTS
        return self._newest if lasting else None


async def pause(stopping: asyncio.Event) -> None:
    """Wait before the next try, or until told to stop."""
    try:
        async with asyncio.timeout(PAUSE):
            await stopping.wait()
    except TimeoutError:
        return
