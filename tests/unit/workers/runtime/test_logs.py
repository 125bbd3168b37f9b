"""What a worker's log lines are."""

import json
import logging
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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


def test_an_entry_of_the_operator_tells_its_job_and_what_kopf_tells_of() -> None:
    found = line("seen", (), None, extra={"job": "team/orders"})
    assert found["job"] == "team/orders"
    pod = {"kind": "Job", "namespace": "team", "name": "users-seed", "uid": "1", "apiVersion": "v1"}
    assert line("seen", (), None, extra={"k8s_ref": pod})["object"] == "Job team/users-seed"


@given(
    st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters="\"'"), min_size=1),
    st.booleans(),
)
def test_no_password_of_a_uri_is_in_a_line(password: str, raised: bool) -> None:
    secret = f"x{password}x@y"
    text = f"cannot reach postgresql://user:{secret}@db:5432/warehouse: refused"
    error = (ValueError, ValueError(text), None)
    found = line("%s", ("it failed" if raised else text,), error if raised else None)
    told = found["exception" if raised else "message"]
    assert told.endswith("cannot reach postgresql://…@db:5432/warehouse: refused")
    assert secret not in told


def test_an_exception_is_part_of_its_line() -> None:
    try:
        int("of this")
    except ValueError:
        found = line("it failed", (), sys.exc_info())
    assert found["exception"].endswith("base 10: 'of this'")
