"""Counts the connections that proxies have open, as the kernel knows them at both of their ends."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from chaos.nodes import Node
from chaos.services import PROXY_PORT

EVERY: Final = 0.05
"""Seconds between two looks."""
FROZEN: Final = 6.5
"""Seconds after which a frozen pod's connections count no more: its lease ends, and it cannot close
them."""
WOKEN: Final = 2.0
"""Seconds that it has to do so once it wakes."""
ALL: Final = "all"
_LOG: Final = logging.getLogger(__name__)
_ESTABLISHED: Final = "01"

Connection = tuple[str, str]
"""The pod's end and the proxy's, as the kernel writes them."""


class Connections:
    """Looks in a thread of its own.

    What a cut has left at one end alone is no connection that a pod could close: it does not count.
    """

    def __init__(self, pods: Sequence[Node], proxies: Mapping[str, Node]) -> None:
        self._pods = pods
        self._proxies = proxies
        self._awake = {pod.name: time.monotonic() for pod in pods}
        self._excused = dict.fromkeys(self._awake, 0.0)
        self.most = dict.fromkeys([*proxies, ALL], 0)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Count until told to stop."""
        before = self._open()
        while not self.stopping.wait(EVERY):
            now = self._open()
            # The kernel's tables are read piece by piece: what two looks in a row hold was there
            # at one moment.
            held = {name: found & before[name] for name, found in now.items()}
            held[ALL] = set().union(*held.values())
            for name, found in held.items():
                if len(found) > self.most[name]:
                    self.most[name] = len(found)
                    ends = " ".join(sorted(near for near, _ in found))
                    _LOG.info("%s: %d connections, of %s", name, len(found), ends)
            before = now

    def _open(self) -> dict[str, set[Connection]]:
        mine = set().union(*(_sockets(pod) for pod in self._pods if self._counts(pod)))
        return {
            name: mine & {(far, near) for near, far in _sockets(node)}
            for name, node in self._proxies.items()
        }

    def _counts(self, pod: Node) -> bool:
        now = time.monotonic()
        if not pod.frozen:
            self._awake[pod.name] = now
        elif now > self._awake[pod.name] + FROZEN:
            self._excused[pod.name] = now + WOKEN
        return now > self._excused[pod.name]


def _sockets(node: Node) -> set[Connection]:
    """Return the established connections with proxies in a node's network: near end, far end."""
    with suppress(OSError):
        lines = [line.split() for line in Path(node.proc, "net/tcp").read_text().splitlines()[1:]]
        port = f":{PROXY_PORT:04X}"
        return {
            (words[1], words[2])
            for words in lines
            if words[3] == _ESTABLISHED and (words[1] + words[2]).count(port)
        }
    return set()
