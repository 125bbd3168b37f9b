"""What a child process is given by its supervisor."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from sluice_workers.state import ProcessState


@dataclass(slots=True)
class ProcessContext:
    """One child process: who it is, when to stop, and what it last said about itself."""

    index: int
    """Its number in the pod, from 0; a child that is started again keeps it."""
    folder: Path
    """The folder of its configuration."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set on SIGTERM, SIGINT and when the supervisor is gone: drain and return within 25 s."""
    state: ProcessState = field(init=False)
    """What was reported last; sent to the supervisor every second."""

    def __post_init__(self) -> None:
        self.state = ProcessState(process=self.index)

    def report(self, state: ProcessState) -> None:
        """Say what is to be seen at ``/state``; cheap, to be called about once a second."""
        self.state = state
