"""Waiting with a bound: what may be waited out, what cannot, and what is said when it is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sluice_api.errors import DependencyError
from sluice_talos.trouble import Kind, Trouble, explained

Found = TypeVar("Found")


@dataclass(frozen=True)
class Patience:
    """How long to wait, how often to look (seconds), and which troubles are waited out."""

    bound: float
    pause: float
    waits_out: frozenset[Kind]


async def wait(
    subject: str,
    attempt: Callable[[], Awaitable[Found | Trouble]],
    patience: Patience,
    say: Callable[[str], None],
) -> Found:
    """Try until it works.

    Raises ``DependencyError`` at once for what waiting cannot help, else after the bound.
    """
    started = time.monotonic()
    told: Kind | None = None
    while True:
        found = await attempt()
        if not isinstance(found, Trouble):
            return found
        if found.kind not in patience.waits_out:
            raise DependencyError(found.kind.name, explained(subject, found))
        if time.monotonic() - started + patience.pause > patience.bound:
            message = f"{explained(subject, found)} (waited {patience.bound:.0f} s)"
            raise DependencyError(found.kind.name, message)
        if found.kind is not told:
            say(f"{subject}: {found.kind}, waiting (at most {patience.bound:.0f} s)")
            told = found.kind
        await asyncio.sleep(patience.pause)
