"""The objects of a job, as they are applied."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from operator_examples import archived, job, ready_status, replay
from sluice_api.http import Http
from sluice_api.pagination import LinkHeader, Pagination
from sluice_api.sink import Buffer
from sluice_api.spec import Batch, Fetcher, Window, Writer
from sluice_operator import plan, resources, sizing, worker_settings
from sluice_operator.autoscaler import Decision
from sluice_operator.observed import (
    Job,
    NodeSize,
    Observation,
    Progress,
    Role,
    Task,
    roles,
)
from sluice_operator.references import missing, references
from sluice_operator.run import begin
from sluice_workers.fetch import unsent
from sluice_workers.fetch.http import arriving
from sluice_workers.settings import (
    ArchiverSettings,
    FetcherSettings,
    KafkaConnection,
    ReplaySettings,
    WriterSettings,
)
from sluice_workers.state import Trouble

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RUN = begin("0123456789", 1, NOW)
KAFKA = KafkaConnection(bootstrap_servers="kafka:9092")


def ready(**changes: Any) -> Job:
    return job(ready_status(RUN), **changes)


def want(of: Job) -> worker_settings.Wanted:
    found = plan.wanted(of, "image:1")
    assert found is not None
    return found


def observation(**changes: Any) -> Observation:
    content = {"now": NOW, "kafka": KAFKA, "redis_url": "redis://r", "partitions": {}}
    return Observation(**(content | changes))


def planned(seen: Observation, of: Job) -> tuple[set[str], plan.Plan]:
    decisions = {role: Decision(1, "") for role in roles(of.spec)}
    found = plan.plan(of, seen, want(of), decisions)
    return {f"{body['kind']}/{body['metadata']['name']}" for body in found.apply}, found


def pods(body: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = body["spec"]["template"]["spec"]
    return spec


def test_every_pod_meets_the_restricted_pod_security_standard() -> None:
    of, replayed = ready(sink=archived()), ready(source=replay())
    bodies = [
        resources.migrate_job(of, want(of)),
        resources.seed_job(of, want(of)),
        resources.seed_job(replayed, want(replayed)),
        *(resources.workers(role, of, want(of), 1) for role in roles(of.spec)),
    ]
    for body in bodies:
        assert body is not None
        pod = pods(body)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            memory = container["resources"]["requests"]["memory"]
            assert container["resources"]["limits"] == {"memory": memory}


def test_the_workers_can_read_what_the_operator_renders() -> None:
    of = ready()
    data = resources.settings_map(of, want(of))["data"]
    fetcher = FetcherSettings.model_validate_json(data["fetcher.json"])
    assert fetcher.items.generation == 5
    assert fetcher.http.url == "http://api/{key}"
    assert WriterSettings.model_validate_json(data["writer.json"]).sink.key == ("id",)
    assert json.loads(data["seed.json"])["run"] == RUN.id


def test_credentials_are_mounted_and_must_hold_their_keys() -> None:
    client = {"tokenUrl": "https://id/token", "secretRef": {"name": "client"}}
    http = {"url": "http://api/{key}", "auth": {"oauth2ClientCredentials": client}}
    source = job().spec.source.model_dump(by_alias=True, exclude_none=True) | {"http": http}
    of = ready(source=source)
    pod = pods(resources.workers(Role.FETCHER, of, want(of), 1))
    assert {"name": "auth", "secret": {"secretName": "client"}} in pod["volumes"]
    mounted = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert "/etc/sluice/auth" in mounted
    (found,) = [each for each in references(of.spec) if each.field == "spec.source.http.auth"]
    assert (found.name, found.keys) == ("client", ("clientId", "clientSecret"))


def test_what_the_administrator_allows_reaches_the_fetchers() -> None:
    of = ready()
    allowed = plan.wanted(of, "image:1", ("127.0.0.0/8",))
    assert allowed is not None
    text = resources.settings_map(of, allowed)["data"]["fetcher.json"]
    assert FetcherSettings.model_validate_json(text).allowed_addresses == ("127.0.0.0/8",)


def test_a_change_rolls_only_the_pods_that_it_concerns() -> None:
    before, after = ready(), ready(batch={"minSize": 7})
    same = [
        worker_settings.digest(before, want(before), role)
        == worker_settings.digest(after, want(after), role)
        for role in ("migrate", "seed", "fetcher", "writer")
    ]
    assert same == [True, True, True, False]


def test_a_jobs_own_revisions_run_in_its_image_and_roll_no_writers() -> None:
    sink = job().spec.sink.model_dump(mode="json", by_alias=True)
    before = ready()
    sink["postgres"] |= {"manage": False, "migrations": {"image": "mine:1", "drop": ["old"]}}
    unmanaged = ready(sink=sink | {"postgres": sink["postgres"] | {"migrations": {}}})
    after = ready(sink=sink)
    images = [
        pods(resources.migrate_job(of, want(of)))["containers"][0]["image"]
        for of in (before, after)
    ]
    assert images == ["image:1", "mine:1"]
    assert digests(unmanaged, "migrate") != digests(after, "migrate")
    assert digests(unmanaged, "writer") == digests(after, "writer")


def digests(of: Job, role: str) -> str:
    return worker_settings.digest(of, want(of), role)


def test_writers_wait_for_the_migration() -> None:
    names, _ = planned(observation(), ready())
    assert "Deployment/users-fetcher" in names
    assert "Deployment/users-writer" not in names
    of = ready()
    digest = worker_settings.digest(of, want(of), "migrate")
    names, _ = planned(observation(migrate=Task(Progress.SUCCEEDED, digest=digest)), of)
    assert "Deployment/users-writer" in names
    assert "Job/users-migrate" not in names


def test_nothing_that_mounts_a_missing_secret_is_made() -> None:
    trouble = Trouble(reason="SecretNotFound", message="Secret team/warehouse does not exist")
    names, _ = planned(observation(troubles=(trouble,)), ready())
    assert names == {"ConfigMap/users-settings", "Secret/users-connections"}


def writer_memory(batch: Batch, partitions: int, buffer: Buffer = Buffer.TRANSACTIONAL) -> Decimal:
    return sizing.writer(Writer(), batch, partitions, buffer).requests["memory"].number


@pytest.mark.parametrize("age", [5, 50])
def test_a_failed_job_stays_a_while_and_is_made_anew(age: int) -> None:
    of = ready()
    digest = worker_settings.digest(of, want(of), "migrate")
    ended = datetime.fromtimestamp(NOW.timestamp() - age, UTC)
    failed = Task(Progress.FAILED, digest=digest, ended_at=ended)
    _, found = planned(observation(migrate=failed), of)
    assert found.delete == ((("Job", "migrate"),) if age == 50 else ())


def test_a_job_made_from_other_settings_is_made_anew() -> None:
    _, found = planned(observation(seed=Task(Progress.SUCCEEDED, digest="old")), ready())
    assert found.delete == (("Job", "seed"),)


def test_pods_that_fit_no_node_are_not_made_and_told() -> None:
    small = (NodeSize(Decimal(1), Decimal(64 << 20)),)
    names, found = planned(observation(nodes=small), ready())
    assert not any(name.startswith("Deployment") for name in names)
    assert [trouble.reason for trouble in found.troubles] == ["DoesNotFit", "DoesNotFit"]
    assert "64 MiB" in found.troubles[0].message


def test_more_work_in_hand_asks_for_more_memory() -> None:
    def memory(fetcher: Fetcher) -> Decimal:
        return sizing.fetcher(fetcher).requests["memory"].number

    assert memory(Fetcher(processes=4)) > memory(Fetcher(processes=1))
    assert memory(Fetcher(concurrency=5000)) > memory(Fetcher(concurrency=10))
    wide = Fetcher(window=Window(max_bytes=1 << 30))
    assert memory(wide) >= memory(Fetcher()) + wide.processes * Decimal((1 << 30) - (32 << 20))
    long = Http(url="http://api/{key}", max_response_bytes=8 << 20)
    asked = sizing.fetcher(Fetcher(processes=1), long).requests["memory"].number
    assert asked >= memory(Fetcher(processes=1)) + arriving.MOST + (8 << 20)
    pages = long.model_copy(update={"pagination": Pagination(link_header=LinkHeader())})
    more = sizing.fetcher(Fetcher(processes=1), pages).requests["memory"].number
    assert more >= asked + pages.max_item_bytes
    assert memory(Fetcher(processes=1)) > unsent.MOST + sizing.PROCESS
    usual, few = Batch(), 12
    needed = writer_memory(usual, few)
    assert writer_memory(Batch(max_bytes=256 << 20), few) >= needed + 4 * (240 << 20)
    assert writer_memory(Batch(max_size=100_000), few) >= needed + 2 * 95_000 * 1024
    merging = writer_memory(usual, few, Buffer.DURABLE)
    assert merging >= needed + 4 * usual.max_bytes
    assert writer_memory(usual, 512) <= needed + (64 << 20)
    assert writer_memory(usual, 1000) >= needed + (32 << 20)


def test_the_users_resources_are_taken_as_they_are() -> None:
    given = Fetcher.model_validate({"resources": {"requests": {"cpu": "3"}}})
    assert sizing.fetcher(given) == given.resources


def test_a_missing_reference_is_told_with_the_field_that_names_it() -> None:
    found = {reference.field: reference for reference in references(job().spec)}
    assert set(found) == {
        "spec.sink.postgres.secretRef",
        "spec.source.items.configMap",
        "spec.source.http.headersFrom",
    }
    sink = found["spec.sink.postgres.secretRef"]
    absent = missing(sink, job().name, None)
    assert absent is not None
    assert absent.reason == "SecretNotFound"
    assert absent.message.startswith("Secret team/warehouse, named by spec.sink.postgres.secretRef")
    other = missing(sink, job().name, frozenset({"url"}))
    assert other is not None
    assert "has no key uri: it has url" in other.message
    assert missing(sink, job().name, frozenset({"uri"})) is None


def test_an_archive_is_a_deployment_of_its_own_that_needs_no_database() -> None:
    of = ready(sink=archived())
    names, _ = planned(observation(), of)
    assert names >= {"Deployment/users-fetcher", "Deployment/users-archiver"}
    body = resources.workers(Role.ARCHIVER, of, want(of), 1)
    assert [volume["name"] for volume in pods(body)["volumes"]] == [
        "settings", "kafka", "archive", "tmp",
    ]  # fmt: skip
    data = resources.settings_map(of, want(of))["data"]
    settings = ArchiverSettings.model_validate_json(data["archiver.json"])
    assert (settings.run, settings.ends, settings.records.generation) == (RUN.id, True, 5)
    assert settings.archive.s3.bucket == "raw"


def test_an_archive_that_is_asked_for_no_more_has_no_pods() -> None:
    existing = {"Deployment/users-archiver": {}, "Deployment/users-fetcher": {}}
    _, found = planned(observation(existing=existing), ready())
    assert found.delete == (("Deployment", "archiver"),)


def test_a_replay_has_no_fetchers() -> None:
    of = ready(source=replay())
    names, _ = planned(observation(), of)
    assert names == {
        "ConfigMap/users-settings",
        "Secret/users-connections",
        "Job/users-migrate",
        "Job/users-seed",
    }
    seed = resources.seed_job(of, want(of))
    assert seed is not None
    assert pods(seed)["containers"][0]["args"][0] == "replay"
    data = resources.settings_map(of, want(of))["data"]
    assert ReplaySettings.model_validate_json(data["replay.json"]).archive.job == "users"
    assert {"seed.json", "fetcher.json"}.isdisjoint(data)


def test_the_keys_of_a_bucket_are_references_like_others() -> None:
    fields = {each.field: each for each in references(ready(sink=archived()).spec)}
    found = fields["spec.sink.archive.s3.secretRef"]
    lacks = missing(found, job().name, frozenset({"accessKeyId"}))
    assert lacks is not None
    assert "has no key secretAccessKey: it has accessKeyId" in lacks.message
    assert "spec.source.archive.s3.secretRef" in {
        each.field for each in references(ready(source=replay()).spec)
    }


def test_another_broker_connection_rolls_those_that_read_it() -> None:
    def digests(password: str) -> list[str]:
        kafka = KafkaConnection(bootstrap_servers="kafka:9092", password=password)
        found = plan.wanted(ready(), "image:1", (), kafka)
        assert found is not None
        return [
            worker_settings.digest(ready(), found, role)
            for role in ("migrate", "seed", "fetcher", "writer")
        ]

    pairs = zip(digests("one"), digests("other"), strict=True)
    assert [before == after for before, after in pairs] == [True, False, False, False]
