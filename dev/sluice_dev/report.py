"""The demo's closing lines: what came of the job, compared with what had to come of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sample_api.behaviour import Fault
from sluice_api.names import JobName
from sluice_dev.cities import SampleApi, doomed
from sluice_dev.evidence import Evidence
from sluice_dev.target import Target

BY_COUNTRY = """
select country, count(*) as cities, sum(population) as people,
       (array_agg(name order by population desc))[1] as largest
from {table} group by country order by cities desc limit 5"""
SHOWN_KEYS = 4
"""Failed keys that are shown for each reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run over all keys of the sample API."""

    expected: frozenset[str]
    """The keys that had to become rows."""
    doomed: Mapping[str, Fault]
    """The keys that had to fail, each with its fault."""
    rows: frozenset[str]
    failed: frozenset[str]
    reasons: Mapping[str, list[str]]
    """Why keys failed, each reason with its keys, from the dead topic."""
    run_seconds: float
    requests: int
    peak: int
    """Requests in the busiest second."""
    by_country: str
    """A query of the table, as psql shows it."""

    @property
    def as_predicted(self) -> bool:
        """Whether each key is a row or failed, exactly as the API answered for it."""
        return self.rows == self.expected and self.failed == self.doomed.keys()

    def show(self, *, seconds: float) -> None:
        """Print it; ``seconds`` is how long all of the demo took."""
        asked = len(self.expected) + len(self.doomed)
        print(f"\n{self.by_country.rstrip()}\n")
        print(f"{asked:,} items: {len(self.rows):,} rows, {len(self.failed):,} failed keys")
        for reason, keys in sorted(self.reasons.items()):
            shown = ", ".join(keys[:SHOWN_KEYS]) + (", …" if len(keys) > SHOWN_KEYS else "")
            print(f"  {len(keys):4}  {reason}: {shown}")
        print(self._verdict())
        print(
            f"The run took {self.run_seconds:.0f} s: {asked / self.run_seconds:,.0f} items a"
            f" second; {self.requests:,} requests, {self.peak:,} in the busiest second."
        )
        print(f"The demo took {seconds:.0f} s.")

    def _verdict(self) -> str:
        if self.as_predicted:
            return (
                "Each item is one row or one failed key, exactly those that the API never serves."
            )
        lines = {
            "rows missing": self.expected - self.rows,
            "rows that should not be": self.rows - self.expected,
            "failed keys missing": self.doomed.keys() - self.failed,
            "failed keys that should not be": self.failed - self.doomed.keys(),
        }
        return "NOT as it must be:\n" + "\n".join(
            f"  {len(keys)} {name}: {', '.join(sorted(keys)[:SHOWN_KEYS])}"
            for name, keys in lines.items()
            if keys
        )


def outcome(
    target: Target, api: SampleApi, job: JobName, table: str, keys: Mapping[str, object]
) -> Outcome:
    """Read what came of a completed run over the keys."""
    evidence = Evidence(target)
    must_fail = doomed(keys, api.behaviour())
    per_second = api.requests_per_second()
    return Outcome(
        expected=frozenset(keys.keys() - must_fail.keys()),
        doomed=must_fail,
        rows=frozenset(row[0] for row in evidence.query(f"select id from {table}")),
        failed=frozenset(evidence.failed_keys(job)),
        reasons=_reasons(evidence, job, len(must_fail)),
        run_seconds=_run_seconds(target, job.name),
        requests=sum(per_second.values()),
        peak=max(per_second.values(), default=0),
        by_country=evidence.table(BY_COUNTRY.format(table=table)),
    )


def _reasons(evidence: Evidence, job: JobName, expected: int) -> dict[str, list[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in evidence.dead_items(job, expected):
        status = f" {item['status']}" if item["reason"] == "HttpStatus" else ""
        found[item["reason"] + status].add(item["key"])
    return {reason: sorted(keys) for reason, keys in found.items()}


def _run_seconds(target: Target, name: str) -> float:
    found = target.kubectl.json("get", "ingestionjob", name, f"-n{target.jobs}")
    run = found["status"]["run"]
    begun, ended = (datetime.fromisoformat(run[at]) for at in ("startedAt", "completedAt"))
    return max((ended - begun).total_seconds(), 1.0)


def left_running(target: Target, name: str) -> str:
    """Say what is left running, how to look further, and how to stop it."""
    kubectl, jobs, system = target.shown, f"-n {target.jobs}", f"-n {target.system}"
    what = "the local cluster `demo`" if target.local else f"namespace {target.jobs}"
    again = "make demo" if target.local else "make demo CONTEXT=… IMAGE=…"
    stop = "make down" if target.local else "make down CONTEXT=…"
    return f"""
Left running: {what}, with the operator, Kafka, Postgres, Redis and the sample API.
  the job       {kubectl} describe {jobs} ingestionjob {name}
  the table     {kubectl} exec {system} -it postgres-0 -- psql -U sluice warehouse
  the operator  {kubectl} logs {system} deployment/sluice-operator
  once more     {again}
  stop          {stop}"""
