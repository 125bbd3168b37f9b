"""What a person sees: which step runs, how far it is, and how long it took."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import click

HEARTBEAT: Final = 20.0
"""Seconds between two signs of life."""


class Progress:
    """Prints steps and what happens in them, a line each."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._number = 0
        self._last = ""

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        """Announce a step; tell every while that it runs, and at its end how long it took."""
        self._number += 1
        name = f"[{self._number}/{self._steps}] {title}"
        started = time.monotonic()
        click.echo(f"▸ {name}")
        beat = asyncio.create_task(self._beat(name, started))
        try:
            yield
        except BaseException:
            click.echo(f"✗ {name}: stopped after {time.monotonic() - started:.1f} s")
            raise
        finally:
            beat.cancel()
        click.echo(f"✓ {name}: {time.monotonic() - started:.1f} s")

    async def _beat(self, name: str, started: float) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            click.echo(f"  … {name}: {time.monotonic() - started:.0f} s so far")

    def say(self, text: str) -> None:
        """Tell something about the present step; the same is not told twice in a row."""
        if text != self._last:
            click.echo(f"    {text}")
        self._last = text
