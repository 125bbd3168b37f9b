"""Which topics are created, and under which generation."""

from datetime import UTC, datetime

from operator_examples import job, topics
from sluice_api.status import IngestionJobStatus
from sluice_operator.topics import plan
from sluice_workers.wire import GENERATION_EPOCH

NOW = datetime.fromtimestamp(GENERATION_EPOCH + 1000, UTC)
ALL = {f"team.users.{suffix}": 12 for suffix in ("items", "records", "dead")}


def test_a_new_job_gets_three_topics_under_generations_of_now() -> None:
    found = plan(job(), {}, NOW)
    assert found.create == tuple(ALL)
    assert found.status.items is not None
    assert found.status.items.generation == 1000
    assert found.troubles == ()


def test_topics_that_are_there_are_left_as_they_are() -> None:
    status = IngestionJobStatus(topics=topics())
    found = plan(job(status), ALL, NOW)
    assert found.create == ()
    assert found.status == status.topics


def test_a_topic_that_vanished_is_a_new_world() -> None:
    status = IngestionJobStatus(topics=topics(generation=4000))
    found = plan(job(status), {name: 12 for name in ALL if "items" not in name}, NOW)
    assert found.create == ("team.users.items",)
    assert found.status.items is not None
    assert found.status.items.generation == 4001
    assert found.status.records == status.topics.records


def test_a_topic_of_somebody_else_is_not_taken() -> None:
    found = plan(job(), ALL, NOW)
    assert found.create == ()
    assert {trouble.reason for trouble in found.troubles} == {"TopicExists"}
    assert "delete it" in found.troubles[0].message


def test_a_changed_number_of_partitions_is_told() -> None:
    status = IngestionJobStatus(topics=topics())
    found = plan(job(status), ALL | {"team.users.records": 13}, NOW)
    assert [trouble.reason for trouble in found.troubles] == ["TopicMismatch"]
    assert "13 partitions" in found.troubles[0].message


def test_a_topic_that_others_fill_is_neither_created_nor_missed_silently() -> None:
    source = {"items": {"topic": {"name": "theirs"}}, "http": {"url": "http://api/{key}"}}
    absent = plan(job(source=source), {}, NOW)
    assert "theirs" not in absent.create
    assert [trouble.reason for trouble in absent.troubles] == ["TopicNotFound"]
    there = plan(job(source=source), {"theirs": 3}, NOW)
    assert there.status.items is not None
    assert there.status.items.name == "theirs"
    assert there.create == ("team.users.records", "team.users.dead")
