"""Logging: one JSON object a line to stderr, with job, process, and the key that it is about.

Operator and workers alike. What a URI says before its ``@`` is left out of every line.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final

from sluice_api.names import JobName

CONCERNED: Final = ("job", "key", "item")
"""What a call may give as ``extra``: the job that an entry is about, where a process has many, the
key and the id of the item."""
_NOISY: Final = ("aiokafka", "httpx", "httpcore", "kopf")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s\"']*@")


class JsonLines(logging.Formatter):
    """An entry as an object: time (UTC), level, logger, message, job, process; key, item, object.

    ``process`` is the role with the process's number in the pod, such as fetcher-0; ``object`` the
    kind, namespace and name of what kopf's own entries are about.
    """

    def __init__(self, job: JobName | None, process: str) -> None:
        super().__init__()
        self._own = {"job": str(job)} if job is not None else {}
        self._own["process"] = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _without_credentials(record.getMessage()),
            **self._own,
        }
        entry |= {name: getattr(record, name) for name in CONCERNED if hasattr(record, name)}
        if (kopfs := getattr(record, "k8s_ref", None)) is not None:
            entry["object"] = f"{kopfs['kind']} {kopfs['namespace'] or ''}/{kopfs['name']}"
        if record.exc_info:
            entry["exception"] = _without_credentials(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure_logging(role: str, process: int | None = None, job: JobName | None = None) -> None:
    """Log to stderr at INFO, clients of brokers, of APIs and of Kubernetes at WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(job, role if process is None else f"{role}-{process}"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub("…@", text)
