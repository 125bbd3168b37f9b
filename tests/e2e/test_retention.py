"""What was consumed is deleted from a job's topics, where the job says so."""

from e2e.ingestion import Start


def test_what_is_consumed_goes_and_the_run_is_whole(start: Start) -> None:
    job = start(800, topics={"retention": "0s"})
    job.wait_complete()
    job.judge()
    items, records = (job.job.topic(each) for each in ("items", "records"))
    assert job.evidence.extent(items)[1] == len(job.keys)

    def gone() -> bool:
        extents = [job.evidence.extent(topic) for topic in (items, records)]
        return all(start == end for start, end in extents)

    job.wait("end of what was consumed", gone, 120)
    job.judge()
    assert job.phase() == "Completed"
    assert job.status()["progress"] == "100%"


def test_all_is_kept_unless_asked_for(start: Start) -> None:
    job = start(100)
    job.wait_complete()
    for suffix in ("items", "records"):
        start_of, end = job.evidence.extent(job.job.topic(suffix))
        assert start_of == 0 < end
