"""A run from `kubectl apply` to rows, undisturbed."""

import json

from e2e.ingestion import Ingestion, Start
from sample_api.behaviour import fault
from sluice_dev.cities import doomed, some_cities
from sluice_dev.evidence import Evidence
from sluice_dev.target import Target


def test_each_item_becomes_a_row_or_a_failed_key(start: Start) -> None:
    job = start(3000)
    phases, wanted = watch_to_the_end(job)
    job.judge()
    assert phases[-1] == "Completed"
    assert set(phases) <= {"", "Pending", "Seeding", "Running", "Completed"}
    assert "Running" in phases
    assert max(wanted) >= 1, "fetchers were never wanted"

    status = job.status()
    assert status["progress"] == "100%"
    assert status["lag"] == 0
    assert status["failed"] == len(doomed(job.keys, job.api.behaviour())) > 0
    assert job.condition("Completed")["status"] == "True"
    job.wait("end of the workers", lambda: job.pods("fetcher") + job.pods("writer") == [], 60)


def watch_to_the_end(job: Ingestion) -> tuple[list[str], list[int]]:
    """The phases and the numbers of fetchers wanted that were seen until the job was complete."""
    phases: list[str] = []
    wanted: list[int] = []

    def completed() -> bool:
        status = job.status()
        phases.append(status.get("phase", ""))
        wanted.append(int(status.get("fetchers", "0/0").partition("/")[2]))
        return phases[-1] == "Completed"

    job.wait("the phase Completed", completed, 150)
    return phases, wanted


def test_a_failed_request_repeats_its_own_item_and_no_other(start: Start) -> None:
    job = start(1000)
    job.wait_complete()
    behaviour, asked = job.api.behaviour(), job.api.requests()
    assert asked.keys() == set(job.keys)
    assert {key for key in job.keys if fault(behaviour, key) is None and asked[key] > 1} == set()
    assert max(asked.values()) <= job.manifest()["spec"]["source"]["retry"]["attempts"]


def test_rows_hold_the_records_and_items_may_be_listed_in_the_job(start: Start) -> None:
    records = some_cities(50)
    job = start(
        50,
        source={"items": {"configMap": None, "values": list(records)}},
        sink={"postgres": {"mode": "Upsert", "key": ["id"]}},
    )
    job.wait_complete()
    job.judge()
    found = job.evidence.query(
        "select id, name, country, admin1, population, latitude, longitude, timezone"
        f" from {job.table} where fetched_at > now() - interval '1 hour' order by id"
    )
    must_fail = doomed(records, job.api.behaviour())
    assert found == [
        [str(value) for value in record.values()]
        for key, record in records.items()
        if key not in must_fail
    ]


def test_a_run_with_a_durable_buffer_is_complete_when_all_is_merged(start: Start) -> None:
    durable = {"maxRecords": 1000, "shared": True}
    job = start(2000, sink={"postgres": {"buffer": "Durable", "durable": durable}})
    job.wait_complete()
    assert job.evidence.query("select count(*) from sluice.buffer") == [["0"]]
    job.judge()


def test_items_may_come_from_a_query(start: Start) -> None:
    query = "select 10570 as id union select n from (values (490), (362)) as more (n)"
    job = start(
        3,
        source={
            "items": {
                "configMap": None,
                "postgres": {"secretRef": {"name": "warehouse"}, "query": query},
            }
        },
    )
    job.wait_complete()
    job.judge()


def test_items_may_come_from_a_topic_that_others_fill(start: Start, where: Target) -> None:
    """It is neither created nor deleted, and a run ends at the end that it had at first."""
    evidence, topic = Evidence(where), f"{where.jobs}.others"
    evidence.drop(topic)
    evidence.fill(topic, some_cities(60))
    job = start(60, source={"items": {"configMap": None, "topic": {"name": topic}}})
    job.wait_complete()
    job.judge()
    job.delete()
    evidence.drop(topic)


def test_operator_and_workers_log_an_object_a_line(start: Start, where: Target) -> None:
    job = start(200)
    job.wait_complete()
    pods = where.kubectl("logs", f"--selector=sluice.dev/job={job.name}", job.in_jobs, "--tail=-1")
    operator = where.kubectl("logs", "deployment/sluice-operator", f"--namespace={where.system}")
    for line in pods.splitlines():
        assert json.loads(line)["job"] == str(job.job)
    assert {json.loads(line)["process"] for line in operator.splitlines()} <= {"operator"}
