"""Logging: one line an entry to stderr, in UTC, with the process that wrote it."""

import logging
import sys
import time


def configure_logging(role: str, process: int | None = None) -> None:
    """Log to stderr at INFO, clients of brokers and APIs at WARNING."""
    name = role if process is None else f"{role}-{process}"
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s.%(msecs)03dZ %(levelname)s {name} %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        force=True,
    )
    for handler in logging.getLogger().handlers:
        if handler.formatter is not None:
            handler.formatter.converter = time.gmtime
    for noisy in ("aiokafka", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
