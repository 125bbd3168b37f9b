"""A wrong job is refused by `kubectl apply` with a sentence: where, what was found, what fits."""

import json
from typing import Any

import pytest

from e2e.ingestion import merged
from sluice_dev.cities import job
from sluice_dev.errors import ClusterError
from sluice_dev.target import Target

WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"metadata": {"name": "n" * 41}},
        "metadata.name must have at most 40 characters, found 41",
    ),
    (
        {"spec": {"source": {"items": {"values": ["1"]}}}},
        "exactly one of values, configMap, topic and postgres must be given, found 2",
    ),
    (
        {"spec": {"source": {"http": {"url": "ftp://example.com/{key}"}}}},
        'must be an http:// or https:// URL, found "ftp://example.com/{key}"',
    ),
    (
        {"spec": {"source": {"http": {"timeout": "soon"}}}},
        'must be a duration such as 500ms, 10s or 1h30m, found "soon"',
    ),
    (
        {"spec": {"sink": {"postgres": {"key": ["id", "nme"]}}}},
        "each must be one of columns, not found there: nme",
    ),
    ({"spec": {"sink": {"postgres": {"key": []}}}}, "must name at least one column"),
    (
        {"spec": {"sink": {"postgres": {"columns": {"name": {"type": "string"}}}}}},
        'Unsupported value: "string": supported values: "text", "boolean"',
    ),
    (
        {"spec": {"batch": {"minSize": 100, "maxSize": 10}}},
        "must not be above maxSize (10), found 100",
    ),
    (
        {"spec": {"fetcher": {"replicas": {"min": 4, "max": 3}}}},
        "must not be above max (3), found 4",
    ),
    ({"spec": {"fetcher": {"procesess": 2}}}, 'unknown field "spec.fetcher.procesess"'),
    ({"spec": {"topics": {"partitions": 0}}}, "should be greater than or equal to 1"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_job_is_refused(where: Target, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        dry_run(where, merged(job(), change))
    assert sentence in str(refusal.value)


def test_what_cannot_change_is_refused_with_what_it_was(where: Target) -> None:
    namespace = f"--namespace={where.jobs}"
    suspended = merged(job(), {"metadata": {"name": "fixed"}, "spec": {"suspend": True}})
    where.kubectl.apply(json.dumps(suspended), namespace)
    try:
        for change, sentence in (
            ({"topics": {"partitions": 7}}, "partitions cannot change after creation"),
            ({"mode": "Continuous"}, "mode cannot change after creation: create another job"),
            ({"sink": {"postgres": {"table": "public.t"}}}, "create another job"),
            ({"source": {"items": {"configMap": {"name": "others"}}}}, "create another job"),
        ):
            with pytest.raises(ClusterError) as refusal:
                dry_run(where, merged(suspended, {"spec": change}))
            assert sentence in str(refusal.value)
    finally:
        where.kubectl("delete", "ingestionjob", "fixed", namespace, "--timeout=60s")


def test_the_examples_are_admitted_and_explained(where: Target) -> None:
    dry_run(where, job())
    found = where.kubectl("explain", "ingestionjob.spec.fetcher.concurrency")
    assert "Requests in flight in each process." in found


def dry_run(where: Target, manifest: dict[str, Any]) -> None:
    apply = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "--filename=-")
    where.kubectl(*apply, f"--namespace={where.jobs}", stdin=json.dumps(manifest))
