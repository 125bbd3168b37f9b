"""A run whose parts are killed in the middle ends as if nothing had been."""

import json

import pytest

from e2e.ingestion import Start, force_delete
from sluice_dev.install import wait_ready
from sluice_dev.progress import Progress
from sluice_dev.target import Target

COUNT = 2500
MIDDLE = 300


@pytest.mark.parametrize("component", ["fetcher", "writer"])
def test_workers_are_killed(start: Start, component: str) -> None:
    """First the processes by SIGKILL, which the pod starts again; then the pods."""
    job = start(COUNT)
    job.wait_rows(MIDDLE)
    job.kill_processes(component)
    job.wait_rows(2 * MIDDLE)
    job.kill_pods(component)
    job.wait_complete()
    job.judge()


@pytest.mark.alone
def test_the_operator_is_killed(start: Start, where: Target) -> None:
    """Once while topics and pods are being made, once in the middle."""
    job = start(COUNT)
    kill_operator(where)
    job.wait_rows(MIDDLE)
    kill_operator(where)
    job.wait_complete()
    job.judge()


def kill_operator(where: Target) -> None:
    label = "--selector=app.kubernetes.io/component=operator"
    pods = where.kubectl("get", "pods", label, f"-n{where.system}", "--output=name").split()
    force_delete(where, where.system, *pods)


@pytest.mark.alone
@pytest.mark.parametrize("service", ["kafka", "postgres", "redis"])
def test_a_service_is_restarted(start: Start, where: Target, service: str) -> None:
    job = start(COUNT)
    job.wait_rows(MIDDLE)
    where.kubectl("delete", "pod", f"{service}-0", f"-n{where.system}", "--timeout=60s")
    wait_ready(where, where.system, f"statefulset/{service}", Progress())
    job.wait_complete()
    job.judge()


@pytest.mark.alone
def test_a_service_is_killed(start: Start, where: Target) -> None:
    """Postgres and the broker at once, without time to end."""
    job = start(COUNT)
    job.wait_rows(MIDDLE)
    force_delete(where, where.system, "pod/postgres-0", "pod/kafka-0")
    for service in ("kafka", "postgres"):
        wait_ready(where, where.system, f"statefulset/{service}", Progress())
    job.wait_complete()
    job.judge()


def test_a_missing_secret_is_named_and_the_job_heals_when_it_appears(
    start: Start, where: Target
) -> None:
    namespace = f"--namespace={where.jobs}"
    where.kubectl("delete", "secret", "late", namespace, "--ignore-not-found")
    job = start(100, sink={"postgres": {"secretRef": {"name": "late"}}})
    job.wait(
        "condition that names the Secret", lambda: "late" in message(job.condition("Ready")), 60
    )
    assert job.condition("Ready")["status"] == "False"
    assert job.phase() != "Completed"
    uri = where.kubectl(
        "get", "secret", "warehouse", namespace, "--output=go-template={{.data.uri | base64decode}}"
    )
    where.kubectl("create", "secret", "generic", "late", namespace, f"--from-literal=uri={uri}")
    job.wait_complete()
    job.judge()


def test_writers_are_no_more_than_their_user_may_have_connections(
    start: Start, where: Target
) -> None:
    """Four are asked for at the least; the limit of 6 has 4 besides what is spared, 2 each."""
    namespace = f"--namespace={where.jobs}"
    uri = where.kubectl(
        "get", "secret", "warehouse", namespace, "--output=go-template={{.data.uri | base64decode}}"
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "few"},
        "stringData": {"uri": f"postgresql://few:few@{uri.rpartition('@')[2]}"},
    }
    where.kubectl.apply(json.dumps(secret), namespace)
    writer = {"replicas": {"min": 4, "max": 6}}
    job = start(COUNT, sink={"postgres": {"secretRef": {"name": "few"}}}, writer=writer)
    job.evidence.query("drop role if exists few")
    job.evidence.query("create role few login password 'few' connection limit 6 in role sluice")
    words = "for 2 writers of 2 each: its user's CONNECTION LIMIT is 6, 0 used by others"
    job.wait("bound", lambda: words in message(job.condition("Scaling")), 90)
    job.wait("2 writers", lambda: job.status()["writer"]["desired"] == 2, 10)
    job.wait_complete()
    job.judge()


def message(condition: dict[str, str]) -> str:
    return condition.get("message", "")


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_job_is_deleted_in_the_middle(start: Start, policy: str) -> None:
    """Its rows stay; what is Sluice's own goes, and the topics as the deletionPolicy says."""
    job = start(COUNT, deletionPolicy=policy)
    job.wait_rows(MIDDLE)
    topics = job.evidence.topics(job.job)
    assert topics == {job.job.topic(each) for each in ("items", "records", "dead")}
    assert job.evidence.groups(job.job) == {job.job.group("fetch"), job.job.group("write")}
    assert job.offset_rows() > 0
    job.delete()
    assert job.evidence.topics(job.job) == (topics if policy == "Retain" else set())
    assert job.evidence.groups(job.job) == set()
    assert job.evidence.redis_keys(job.job) == set()
    assert job.offset_rows() == 0
    assert len(job.rows()) >= MIDDLE
    job.wait("end of what it had made", lambda: job.objects() == set(), 60)


def test_a_secret_that_goes_first_leaves_rows_and_an_event_that_names_them(
    start: Start, where: Target
) -> None:
    namespace = f"--namespace={where.jobs}"
    found = where.kubectl.json("get", "secret", "warehouse", namespace)
    secret = {**found, "metadata": {"name": "soon-gone"}}
    where.kubectl.apply(json.dumps(secret), namespace)
    job = start(100, sink={"postgres": {"secretRef": {"name": "soon-gone"}}})
    job.wait_complete()
    uid = where.kubectl.json("get", "ingestionjob", job.name, namespace)["metadata"]["uid"]
    where.kubectl("delete", "secret", "soon-gone", namespace)
    job.delete()
    assert job.offset_rows() > 0
    events = where.kubectl("get", "events", namespace, "--field-selector=reason=CleanupIncomplete")
    assert f"rows of job_uid {uid} in sluice.offsets, record_ids, slices and buffer" in events
    assert f"Secret {where.jobs}/soon-gone, named by spec.sink.postgres.secretRef," in events
    job.evidence.query(f"delete from sluice.offsets where job_uid = '{uid}'")


def test_a_changed_secret_of_the_broker_is_followed_in_the_middle(
    start: Start, where: Target
) -> None:
    """The operator by itself, the pods by being made anew."""
    servers = f"kafka.{where.system}.svc:9092"

    def mount(bootstrap: str) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broker"}}
        content = secret | {"stringData": {"bootstrapServers": bootstrap}}
        where.kubectl.apply(json.dumps(content), f"--namespace={where.jobs}")

    mount(servers)
    slow = {"rateLimit": {"requests": 15, "per": "1s"}}
    job = start(1500, source=slow, connections={"kafka": {"name": "broker"}})
    job.wait_rows(50)
    before = {*job.pods("fetcher"), *job.pods("writer")}
    assert before
    mount(f"{servers},kafka.{where.system}.svc.cluster.local:9092")

    def made_anew() -> bool:
        now = {*job.pods("fetcher"), *job.pods("writer")}
        return bool(now) and before.isdisjoint(now)

    job.wait("pods made anew", made_anew, 90)
    assert len(job.rows()) < len(job.keys), "the run was over before its pods were made anew"
    job.wait_complete(240)
    job.judge()


def test_what_somebody_deletes_is_made_again(start: Start, where: Target) -> None:
    job = start(COUNT)
    job.wait_rows(MIDDLE)
    workloads = [f"deployment/{job.job.resource(each)}" for each in ("fetcher", "writer")]
    where.kubectl("delete", *workloads, f"--namespace={where.jobs}")
    job.wait_complete()
    job.judge()
