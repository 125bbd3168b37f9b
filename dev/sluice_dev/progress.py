"""What a person sees while the cluster works: each step's name, and how long it takes."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

HEARTBEAT: Final = 20.0
"""Seconds between two signs of life of a step that takes long."""


class Progress:
    """Prints steps, which may run side by side, one line at a time."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, tell every while that it still runs, and how long it took."""
        started = time.monotonic()
        ended = threading.Event()

        def heartbeat() -> None:
            while not ended.wait(HEARTBEAT):
                self.say(f"  … {name}: {time.monotonic() - started:.0f} s so far")

        beat = threading.Thread(target=heartbeat, daemon=True)
        self.say(f"  ▸ {name}")
        beat.start()
        try:
            yield
        except BaseException:
            self.say(f"  ✗ {name}: stopped after {time.monotonic() - started:.1f} s")
            raise
        finally:
            ended.set()
            beat.join()
        self.say(f"  ✓ {name}: {time.monotonic() - started:.1f} s")
