"""A wrong job is refused by `kubectl apply` with a sentence: where, what was found, what fits."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ingestion import merged
from sluice_dev.cities import job
from sluice_dev.errors import ClusterError
from sluice_dev.target import Target

SECRET = {"secretRef": {"name": "s"}}
CURSOR = {"path": "$.next", "parameter": "after"}
S3: dict[str, Any] = {"bucket": "raw-records", "secretRef": {"name": "bucket"}}


def http(**content: Any) -> dict[str, Any]:
    return {"spec": {"source": {"http": content}}}


def key(*columns: str) -> dict[str, Any]:
    return {"spec": {"sink": {"postgres": {"key": columns}}}}


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"spec": {"sink": {"postgres": {"columns": {"ü" * 32: {"type": "text"}}}}}},
        "spec.sink.postgres.columns: Invalid value: names must be of 1 to 63 bytes, found: "
        f'["{"ü" * 32}"]',
    ),
    (
        {"metadata": {"name": "n" * 41}},
        "metadata.name must have at most 40 characters, found 41",
    ),
    (
        {"spec": {"source": {"items": {"values": ["1"]}}}},
        "spec.source.items: Invalid value: exactly one of values, configMap, topic and postgres"
        " must be given, found 2",
    ),
    (
        {"spec": {"source": {"http": {"url": "ftp://example.com/{key}"}}}},
        "spec.source.http.url: Invalid value: must be an http:// or https:// URL,"
        ' found "ftp://example.com/{key}"',
    ),
    (
        http(url="https://api.example.com/{key"),
        'spec.source.http.url: Invalid value: "https://api.example.com/{key": braces must enclose a'
        ' name, such as {key}, or be doubled, found "https://api.example.com/{key"',
    ),
    (
        http(query={"q": "}"}),
        'spec.source.http.query[q]: Invalid value: "}": braces must enclose a name',
    ),
    (
        http(method="DELETE"),
        'spec.source.http.method: Unsupported value: "DELETE": supported values: "GET", "POST"',
    ),
    (
        http(version="HTTP/2", url="http://api.example.com/{key}"),
        "spec.source.http.version: Invalid value: HTTP/2 is agreed upon by TLS and needs an"
        ' https:// URL, found "http://api.example.com/{key}"',
    ),
    (
        http(body={"text": "x", "form": {"a": "b"}}),
        "spec.source.http.body: Invalid value: exactly one of json, form and text must be given,"
        " found 2",
    ),
    (
        http(auth={}),
        "spec.source.http.auth: Invalid value: exactly one of bearer, basic, header, query and"
        " oauth2ClientCredentials must be given, found 0",
    ),
    (
        http(auth={"bearer": SECRET, "basic": SECRET}),
        "oauth2ClientCredentials must be given, found 2",
    ),
    (
        http(auth={"oauth2ClientCredentials": {"tokenUrl": "id.example.com", **SECRET}}),
        'spec.source.http.auth.oauth2ClientCredentials.tokenUrl: Invalid value: "id.example.com":'
        ' must be an http:// or https:// URL, found "id.example.com"',
    ),
    (
        http(pagination={"pageNumber": {}, "offset": {}}),
        "spec.source.http.pagination: Invalid value: exactly one of linkHeader, nextUrl, cursor,"
        " pageNumber and offset must be given, found 2",
    ),
    (
        http(pagination={"linkHeader": {}, "maxPages": 0}),
        "spec.source.http.pagination.maxPages in body should be greater than or equal to 1",
    ),
    (
        http(pagination={"cursor": {**CURSOR, "place": "Body"}}),
        "spec.source.http.pagination.cursor.place: Invalid value: Body needs body.json or"
        " body.form, which is not given",
    ),
    (
        http(format="NDJSON", pagination={"cursor": CURSOR}),
        "spec.source.http.pagination: Invalid value: nextUrl, cursor and more look into a JSON"
        " document: with NDJSON use linkHeader, pageNumber or offset",
    ),
    (
        http(records="data[*]"),
        'spec.source.http.records: Invalid value: "data[*]": must be a JSONPath (RFC 9535) such as'
        ' $.data[*], found "data[*]"',
    ),
    (
        http(missingRecords="Skip"),
        'spec.source.http.missingRecords: Unsupported value: "Skip": supported values: "Failure",'
        ' "Ignore"',
    ),
    (
        http(responses=[{"action": "Ignore"}]),
        "spec.source.http.responses[0]: Invalid value: must give statuses, path or both",
    ),
    (
        http(responses=[{"statuses": [200], "value": "x", "action": "Retry"}]),
        "spec.source.http.responses[0].value: Invalid value: needs a path to compare with,"
        ' found "x"',
    ),
    (
        http(responses=[{"statuses": [403], "action": "RefreshToken"}]),
        "spec.source.http.responses: Invalid value: RefreshToken needs auth, which is not given",
    ),
    (
        http(allowedOrigins=["https://api.example.com/v2"]),
        "spec.source.http.allowedOrigins: Invalid value: each must be scheme, host and perhaps"
        " port",
    ),
    (
        http(maxRedirects=100),
        "spec.source.http.maxRedirects in body should be less than or equal to 20",
    ),
    (
        {"spec": {"source": {"http": None}}},
        "spec.source: Invalid value: exactly one of http and handler must be given, found neither",
    ),
    (
        {"spec": {"source": {"http": None, "handler": {"function": "orders.fetch"}}}},
        'spec.source.handler.function: Invalid value: "orders.fetch": must be module:function,'
        ' found "orders.fetch"',
    ),
    (
        {"spec": {"source": {"http": {"timeout": "soon"}}}},
        'spec.source.http.timeout: Invalid value: "soon": must be a duration such as 500ms, 10s or'
        ' 1h30m, found "soon"',
    ),
    (
        {"spec": {"sink": {"postgres": {"key": ["id", "nme"]}}}},
        "spec.sink.postgres.key: Invalid value: each must be one of columns, not found there:"
        ' ["nme"]',
    ),
    (
        {"spec": {"sink": {"postgres": {"key": []}}}},
        "spec.sink.postgres.key: Invalid value: must name at least one column when mode is Upsert",
    ),
    (
        {"spec": {"sink": {"postgres": {"columns": {"name": {"type": "string"}}}}}},
        'spec.sink.postgres.columns[name].type: Invalid value: "string": must be text, varchar,',
    ),
    (
        {"spec": {"sink": {"postgres": {"columns": {"name": {"encoding": "Hex"}}}}}},
        "spec.sink.postgres.columns[name].encoding: Invalid value: is for columns of type bytea,"
        " found type text",
    ),
    (
        {"spec": {"sink": {"postgres": {"migrations": {"drop": ["name"]}}}}},
        "spec.sink.postgres.migrations.drop: Invalid value: must not name any of columns, found:"
        ' ["name"]',
    ),
    (
        {"spec": {"sink": {"postgres": {"migrations": {"narrow": ["nme"]}}}}},
        "spec.sink.postgres.migrations.narrow: Invalid value: each must be one of columns, not"
        ' found there: ["nme"]',
    ),
    (
        {"spec": {"sink": {"postgres": {"migrations": {"image": "mine:1"}}}}},
        "spec.sink.postgres.manage: Invalid value: must be false when migrations.image is given",
    ),
    (
        {"spec": {"sink": {"postgres": {"recordIds": "Apart"}}}},
        "spec.sink.postgres.recordIds: Invalid value: must be Column when mode is Upsert",
    ),
    (
        {"spec": {"sink": {"postgres": {"durable": {"shared": True}}}}},
        "spec.sink.postgres.durable: Invalid value: is for buffer Durable, found buffer"
        " Transactional",
    ),
    (
        {"spec": {"sink": {"postgres": {"buffer": "Unlogged"}}}},
        'spec.sink.postgres.buffer: Unsupported value: "Unlogged": supported values:'
        ' "Transactional", "Durable"',
    ),
    (
        {"spec": {"sink": {"postgres": {"key": None}}}},
        "spec.sink.postgres.key: Invalid value: must name at least one column when mode is Upsert",
    ),
    (
        {"spec": {"sink": {"postgres": {"table": "sluice.offsets"}}}},
        "spec.sink.postgres.table: Invalid value: must not be in the schema sluice, which Sluice"
        ' keeps for itself, found "sluice.offsets"',
    ),
    *(
        (
            {"spec": {"source": {"http": {"url": f"https://example.com/{rest}"}}}},
            "spec.source.http.url: Invalid value: must hold the item in braces, such as {key},"
            f' and no spaces, found "https://example.com/{rest}"',
        )
        for rest in ("cities", "{key", "{}", "a b/{key}")
    ),
    (
        {"spec": {"source": {"http": {"headers": {"Two Words": "x"}}}}},
        "spec.source.http.headers: Invalid value: names must be words such as X-Api-Key",
    ),
    (
        {"spec": {"source": {"http": {"headers": {"X-One": "a\nb"}}}}},
        "spec.source.http.headers: Invalid value: names must be words such as X-Api-Key",
    ),
    (
        {"spec": {"source": {"http": {"timeout": "0s"}}}},
        'spec.source.http.timeout: Invalid value: "0s": must be more than nothing, such as 10s,'
        ' found "0s"',
    ),
    (
        {"spec": {"batch": {"minSize": 100, "maxSize": 10}}},
        "spec.batch.minSize: Invalid value: must not be above maxSize (10), found 100",
    ),
    (
        {"spec": {"fetcher": {"replicas": {"min": 4, "max": 3}}}},
        "spec.fetcher.replicas.min: Invalid value: must not be above max (3), found 4",
    ),
    (
        {"spec": {"fetcher": {"procesess": 2}}},
        'unknown field "spec.fetcher.procesess"',
    ),
    (
        {"spec": {"source": {"items": None, "http": None}}},
        "spec.source.items: Invalid value: must be given, with http or handler; or archive instead",
    ),
    (
        {"spec": {"source": {"archive": {"s3": S3, "job": "users"}}}},
        "spec.source.archive: Invalid value: excludes items, http and handler",
    ),
    (
        {"spec": {"sink": {"archive": {"s3": {**S3, "endpoint": "s3.example.com"}}}}},
        'spec.sink.archive.s3.endpoint: Invalid value: "s3.example.com": must be an http:// or'
        ' https:// URL without a path, found "s3.example.com"',
    ),
    (
        {"spec": {"sink": {"archive": {"s3": {**S3, "bucket": "Raw_Records"}}}}},
        "spec.sink.archive.s3.bucket in body should match",
    ),
    (
        {"spec": {"archiver": {"replicas": {"min": 5}}}},
        "spec.archiver.replicas.min: Invalid value: must not be above max (4), found 5",
    ),
    (
        key("country", "id", "country"),
        "spec.sink.postgres.key: Invalid value: must name each column once, found more than once:"
        ' ["country", "country"]',
    ),
    (
        {"spec": {"topics": {"retention": "a week"}}},
        'spec.topics.retention: Invalid value: "a week": must be a duration such as 500ms, 10s or'
        ' 1h30m, found "a week"',
    ),
    (
        {"spec": {"topics": {"partitions": 0}}},
        "spec.topics.partitions in body should be greater than or equal to 1",
    ),
]
FIXED: list[tuple[dict[str, Any], str]] = [
    (
        {"topics": {"partitions": 7}},
        "spec.topics.partitions: Invalid value: 7: cannot change after creation, because keys would"
        " move: was 6, found 7",
    ),
    (
        {"mode": "Continuous"},
        "mode cannot change after creation: create another job",
    ),
    (
        {"sink": {"postgres": {"table": "public.t"}}},
        "table, mode and key cannot change after creation",
    ),
    (
        {"sink": {"postgres": {"versionColumn": "newer"}}},
        "nor can versionColumn, recordIdColumn and recordIds: create another job",
    ),
    (
        {"sink": {"postgres": {"buffer": "Durable"}}},
        "spec.sink.postgres.buffer: Invalid value: cannot change after creation, found Durable, it"
        " was Transactional: create another job",
    ),
    (
        {"connections": {"kafka": {"name": "other"}}},
        "spec.connections.kafka: Invalid value: the broker of a job cannot change after creation",
    ),
    (
        {"source": {"items": {"configMap": {"name": "others"}}}},
        "the items of a job cannot change after creation: create another job",
    ),
    (
        {"redrive": {"id": "1", "reasons": ["HttpStatus"]}},
        "spec.redrive.id: Invalid value: must be another when reasons, keys or dryRun change: an"
        ' id is carried out once, found "1" again',
    ),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_job_is_refused(where: Target, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        dry_run(where, merged(job(), change))
    assert sentence in str(refusal.value)


@pytest.fixture(scope="module")
def suspended(where: Target) -> Iterator[dict[str, Any]]:
    """The manifest of a job that exists and does nothing."""
    spec = {"suspend": True, "redrive": {"id": "1", "dryRun": True}}
    manifest = merged(job(), {"metadata": {"name": "fixed"}, "spec": spec})
    namespace = f"--namespace={where.jobs}"
    where.kubectl("apply", "--filename=-", namespace, stdin=json.dumps(manifest))
    yield manifest
    where.kubectl("delete", "ingestionjob", "fixed", namespace, "--timeout=60s")


@pytest.mark.parametrize(("change", "sentence"), FIXED, ids=lambda value: str(value)[:40])
def test_what_cannot_change_is_refused(
    where: Target, suspended: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClusterError) as refusal:
        dry_run(where, merged(suspended, {"spec": change}))
    assert sentence in str(refusal.value)


def test_the_examples_are_admitted_and_explained(where: Target) -> None:
    dry_run(where, job())
    found = where.kubectl("explain", "ingestionjob.spec.fetcher.concurrency")
    assert "Requests in flight in each process." in found


def test_a_job_that_appends_needs_no_key_and_can_be_changed(where: Target) -> None:
    change = {"sink": {"postgres": {"mode": "Append", "key": None}}, "suspend": True}
    manifest = merged(job(), {"metadata": {"name": "appends"}, "spec": change})
    namespace = f"--namespace={where.jobs}"
    where.kubectl("apply", "--filename=-", namespace, stdin=json.dumps(manifest))
    dry_run(where, merged(manifest, {"spec": {"batch": {"timeout": "3s"}}}))
    where.kubectl("delete", "ingestionjob", "appends", namespace, "--timeout=60s")


def dry_run(where: Target, manifest: dict[str, Any]) -> None:
    apply = ("apply", "--dry-run=server", "--filename=-", f"--namespace={where.jobs}")
    where.kubectl(*apply, stdin=json.dumps(manifest))
