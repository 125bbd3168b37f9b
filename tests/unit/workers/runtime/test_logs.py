"""What a worker's log lines are."""

import json
import logging
import sys
from typing import Any

from sluice_api.names import JobName
from sluice_workers.runtime.logs import JsonLines

LINES = JsonLines(JobName("team", "users"), "fetcher-1")


def line(*arguments: object, **given: Any) -> dict[str, Any]:
    log = logging.getLogger("sluice_workers.example")
    record = log.makeRecord(log.name, logging.WARNING, "x.py", 1, *arguments, **given)
    text = LINES.format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_tells_job_and_process() -> None:
    found = line("%d items of\n%s", (3, "Zoë"), None)
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "WARNING",
        "logger": "sluice_workers.example",
        "message": "3 items of\nZoë",
        "job": "team/users",
        "process": "fetcher-1",
    }


def test_a_line_about_an_item_tells_which() -> None:
    found = line("given up", (), None, extra={"key": "7", "item": "run/7", "password": "x"})
    assert (found["key"], found["item"]) == ("7", "run/7")
    assert "password" not in found


def test_an_exception_is_part_of_its_line() -> None:
    try:
        int("of this")
    except ValueError:
        found = line("it failed", (), sys.exc_info())
    assert found["exception"].endswith("base 10: 'of this'")
