"""Injects faults into nodes and heals them, as the schedule says."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from signal import SIGTERM
from typing import Final

from chaos import services
from chaos.faults import MODES, POSTGRES, Fault, Kind
from chaos.nodes import Node

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """A moment of the schedule."""

    at: float
    fault: Fault
    heals: bool


def events(faults: Sequence[Fault]) -> list[Event]:
    """Return every injection and every healing in the order of time, a heal before an injection."""
    found = [Event(fault.at, fault, heals=False) for fault in faults]
    found += [Event(fault.healed, fault, heals=True) for fault in faults]
    return sorted(found, key=lambda event: (event.at, not event.heals))


class Injector:
    """Walks through a schedule in a thread of its own."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        faults: Sequence[Fault],
        healed: Callable[[Fault], None],
    ) -> None:
        self._nodes = nodes
        self._events = events(faults)
        self._healed = healed
        self.started = 0.0
        """Monotonic seconds."""
        self.stopping = threading.Event()
        """Ends the walk early."""

    def run(self) -> None:
        """Do everything in its time; call ``healed`` after each healing."""
        started = self.started = time.monotonic()
        for event in self._events:
            if self.stopping.wait(max(0.0, started + event.at - time.monotonic())):
                return
            _LOG.info("%s %s", "healed  " if event.heals else "injected", event.fault)
            if event.fault.kind in MODES:
                services.answer_with("" if event.heals else event.fault.kind)
            if event.heals:
                self._heal(event.fault)
                self._healed(event.fault)
            else:
                self._inject(event.fault)

    def _inject(self, fault: Fault) -> None:
        node = self._nodes[fault.target]
        match fault.kind:
            case Kind.KILL:
                node.kill()
            case Kind.TERMINATE:
                node.send(SIGTERM)
            case Kind.STOP:
                node.freeze()
            case Kind.IMMEDIATE:
                services.stop_immediately(node)
            case Kind.CHILD:
                node.kill_one(self._victim(fault))
            case Kind.CUT:
                node.deafen(self._peer(fault))
                self._peer(fault).deafen(node)
            case Kind.MUTE:
                self._peer(fault).deafen(node)
            case Kind.ISOLATE:
                node.link("down")
            case Kind.FLUSH:
                services.flush(node)

    def _heal(self, fault: Fault) -> None:
        node = self._nodes[fault.target]
        match fault.kind:
            case Kind.KILL | Kind.TERMINATE | Kind.IMMEDIATE:
                node.kill()
                node.start()
            case Kind.STOP:
                node.thaw()
            case Kind.CUT:
                node.hear(self._peer(fault))
                self._peer(fault).hear(node)
            case Kind.MUTE:
                self._peer(fault).hear(node)
            case Kind.ISOLATE:
                node.link("up")

    def _peer(self, fault: Fault) -> Node:
        return self._nodes[fault.peer or ""]

    def _victim(self, fault: Fault) -> str:
        """Return words of the command line of the one process that is to die."""
        if fault.target == POSTGRES:
            return f"sluice warehouse {self._peer(fault).address}("
        return "multiprocessing.spawn"
