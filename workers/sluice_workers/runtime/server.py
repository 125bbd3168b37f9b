"""The HTTP face of a pod: probes, metrics and state."""

import json
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar, Final

from sluice_workers.runtime import health, metrics

Answer = tuple[HTTPStatus, str, bytes]

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


class PodServer:
    """Serves ``/livez``, ``/readyz``, ``/metrics`` and ``/state`` from threads of its own.

    ``sightings`` is called from these threads. Use as a context manager.
    """

    def __init__(
        self,
        role: str,
        sightings: Callable[[], Sequence[health.Sighting]],
        metrics_folder: Path,
        port: int,
    ) -> None:
        self._role = role
        self._sightings = sightings
        self._metrics_folder = metrics_folder
        routes: dict[str, Callable[[], Answer]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/state": self._state,
        }
        handler = type("Handler", (_Handler,), {"routes": routes})
        self._server = ThreadingHTTPServer(("", port), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.server_port

    def __enter__(self) -> "PodServer":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _livez(self) -> Answer:
        return _verdict(health.frozen(self._sightings(), time.monotonic()), "frozen")

    def _readyz(self) -> Answer:
        return _verdict(health.unready(self._sightings()), "not ready")

    def _metrics(self) -> Answer:
        found = metrics.exposition(self._metrics_folder, self._sightings)
        return HTTPStatus.OK, metrics.CONTENT_TYPE, found

    def _state(self) -> Answer:
        state = health.pod_state(self._role, self._sightings())
        return HTTPStatus.OK, JSON, state.model_dump_json(by_alias=True).encode()


def _verdict(found: list[int], word: str) -> Answer:
    if not found:
        return HTTPStatus.OK, TEXT, b"ok\n"
    names = ", ".join(map(str, found))
    return HTTPStatus.SERVICE_UNAVAILABLE, TEXT, f"{word}: process {names}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    """Answers a GET by its path."""

    routes: ClassVar[dict[str, Callable[[], Answer]]] = {}
    protocol_version = "HTTP/1.1"
    timeout = 10.0

    def do_GET(self) -> None:
        """Answer one request."""
        route = self.routes.get(self.path.partition("?")[0])
        status, kind, body = route() if route else self._unknown()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _unknown(self) -> Answer:
        found = json.dumps({"error": "unknown path", "paths": sorted(self.routes)})
        return HTTPStatus.NOT_FOUND, JSON, found.encode()

    def log_message(self, *_arguments: object) -> None:
        """Probes come every few seconds: they are not logged."""
