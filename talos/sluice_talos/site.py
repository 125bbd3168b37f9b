"""What every step works with."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sluice_api.errors import ConfigurationError, DependencyError, SluiceError
from sluice_talos.folder import Folder
from sluice_talos.platform import Node, Platform
from sluice_talos.progress import Progress
from sluice_talos.talosctl import Answer, Program
from sluice_talos.trouble import Kind
from sluice_talos.waiting import Patience

CALL: Final = 60.0
"""Seconds that one call of talosctl may take."""


@dataclass(frozen=True)
class Site:
    """A platform, where its secrets are, and the program that brings it up."""

    platform: Platform
    folder: Folder
    talosctl: Program
    progress: Progress

    async def talos(self, arguments: Iterable[str], within: float = CALL) -> Answer:
        """Call talosctl."""
        return await self.talosctl.run(tuple(arguments), within)

    def patience(self, bound: float, *waits_out: Kind) -> Patience:
        """Return the bounds of a wait."""
        return Patience(bound, self.platform.waits.pause.seconds, frozenset(waits_out))


async def side_by_side(nodes: Iterable[Node], work: Callable[[Node], Awaitable[None]]) -> None:
    """Do something with all nodes at once, to the end with each.

    Raises one error that tells of every node that failed.
    """
    found = await asyncio.gather(*(work(node) for node in nodes), return_exceptions=True)
    failed = [error for error in found if isinstance(error, BaseException)]
    for error in failed:
        if not isinstance(error, SluiceError):
            raise error
    if not failed:
        return
    message = "\n".join(map(str, failed))
    if all(isinstance(error, ConfigurationError) for error in failed):
        raise ConfigurationError(message)
    raise DependencyError("NodesFailed", message)
