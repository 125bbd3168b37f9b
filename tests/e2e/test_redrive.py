"""Given-up items are put back through the operator, asked by `sluice redrive` or in the spec."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Any

import pytest

from e2e.conftest import BEHAVIOUR
from e2e.ingestion import Ingestion, Start
from sample_api.behaviour import Fault
from sluice_dev.cities import SampleApi, doomed
from sluice_dev.target import Target

HEALED = {fault.value: 0.0 for fault in Fault}
PATIENCE = 150.0


@pytest.fixture
def api(where: Target) -> Iterator[SampleApi]:
    """The sample API, which a test may change."""
    found = SampleApi(where)
    yield found
    found.change(BEHAVIOUR)


def redrive(job: Ingestion, *options: str) -> CompletedProcess[str]:
    """Run the command as a user does, by the kubeconfig and the context of kubectl."""
    kubectl = job.where.kubectl
    program = "from sluice_cli.main import main; main(prog_name='sluice')"
    return subprocess.run(
        [sys.executable, "-c", program, "redrive", job.name, job.in_jobs, *kubectl.command[1:],
         *options],
        env=kubectl.whole_environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip


def told(job: Ingestion, *options: str) -> str:
    found = redrive(job, *options)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def patch(job: Ingestion, wish: dict[str, Any] | None) -> None:
    content = json.dumps({"spec": {"redrive": wish}})
    arguments = ("ingestionjob", job.name, job.in_jobs, "--type=merge", f"--patch={content}")
    job.where.kubectl("patch", *arguments)


def answered(job: Ingestion, number: str) -> dict[str, Any]:
    """Wait until a wish is answered, and return the answer."""

    def done() -> bool:
        found = job.status().get("redrive", {})
        return bool(found.get("id") == number and found.get("completedAt"))

    job.wait(f"answer to redrive {number}", done, PATIENCE)
    answer: dict[str, Any] = job.status()["redrive"]
    return answer


def test_what_was_given_up_is_put_back_by_key_by_reason_and_all(
    start: Start, api: SampleApi
) -> None:
    job = start(1000)
    job.wait_complete()
    job.judge()
    failed = doomed(job.keys, api.behaviour())
    unreadable = {key for key, fault in failed.items() if fault is Fault.UNREADABLE}
    one, *others = sorted(failed.keys() - unreadable)
    assert unreadable
    assert others
    rows = Counter(job.rows())

    assert told(job, "--dry-run") == f"{len(failed)} items would be put back"
    assert told(job, "--key", one, "--dry-run") == "1 items would be put back"
    assert job.phase() == "Completed"
    assert Counter(job.rows()) == rows

    api.change(HEALED)
    assert told(job, "--key", one) == "1 items were put back"
    completed_again(job, rows | Counter([one]), failed.keys() - {one})
    assert told(job, "--reason", "MalformedAnswer") == f"{len(unreadable)} items were put back"
    completed_again(job, rows | Counter([one, *unreadable]), set(others))
    assert told(job) == f"{len(others)} items were put back"
    completed_again(job, Counter(job.keys), set())
    assert told(job) == "0 items were put back"
    assert job.status()["failed"] == 0


def completed_again(job: Ingestion, rows: Counter[str], failed: set[str]) -> None:
    """Wait until the run has ended anew, and judge it."""
    job.wait("row of each", lambda: Counter(job.rows()) == rows, PATIENCE)
    job.wait_complete()
    assert job.evidence.failed_keys(job.job) == failed


def test_two_who_ask_at_once_have_each_item_put_back_once(start: Start, api: SampleApi) -> None:
    job = start(600)
    job.wait_complete()
    failed = doomed(job.keys, api.behaviour()).keys()
    api.change(HEALED)
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: redrive(job), range(2)))
    put_back = [int(each.stdout.split()[0]) for each in both if each.returncode == 0]
    assert sum(put_back) == len(failed) > 0
    for each in both:
        assert each.returncode == 0 or "is under way: wait for it" in each.stderr
    completed_again(job, Counter(job.keys), set())


def test_a_wish_in_the_spec_is_carried_out_once_however_often_it_is_applied(
    start: Start, api: SampleApi, where: Target
) -> None:
    job = start(600)
    job.wait_complete()
    failed = doomed(job.keys, api.behaviour()).keys()
    wish = {"id": "again", "reasons": ["HttpStatus", "MalformedAnswer"]}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: patch(job, wish), range(2)))
    first = answered(job, "again")
    assert first["items"] == len(failed) > 0
    # The API fails them once more: they are failed as before, by newer items.
    job.wait("end of the run", lambda: job.phase() == "Completed", PATIENCE)
    job.wait("failed keys", lambda: job.status()["failed"] == len(failed), PATIENCE)
    patch(job, None)
    patch(job, wish)
    assert told(job, "--dry-run") == f"{len(failed)} items would be put back"
    events = where.kubectl(
        "get", "events", job.in_jobs, f"--field-selector=involvedObject.name={job.name}"
    )
    assert f"redrive again: {len(failed)} items, 0 gone" in events
    assert len(job.evidence.dead_items(job.job, 2 * len(failed))) == 2 * len(failed)
