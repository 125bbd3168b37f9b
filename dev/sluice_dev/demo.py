"""`make demo`: from nothing to every city of the world in a table, by one IngestionJob."""

import os
import sys
import time
from typing import Final

from sluice_api.names import JobName
from sluice_dev.cities import JOB, SampleApi, items, some_cities
from sluice_dev.errors import ClusterError
from sluice_dev.evidence import Evidence
from sluice_dev.follow import follow
from sluice_dev.install import install, uninstall
from sluice_dev.progress import Progress
from sluice_dev.report import Outcome, left_running, outcome
from sluice_dev.target import Target, target, user_target

CLUSTER: Final = "demo"
NAMESPACE: Final = "sluice-demo"
NAME: Final = "cities"
TABLE: Final = "public.cities"
RUN_TIMEOUT: Final = 900.0
"""Seconds that the job may take before the demo gives up on it."""


def demo(progress: Progress) -> Outcome:
    """Run it all; return what came of it. Raises ``ClusterError``."""
    started = time.monotonic()
    where = target(CLUSTER, NAMESPACE, progress)
    install(where, progress)
    records = some_cities()
    api = SampleApi(where)
    api.install(records.values(), progress)
    _remove_previous(where, progress)
    api.forget()
    progress.say(f"\nApplying examples/cities.yaml: {len(records):,} cities, one request each\n")
    where.kubectl.apply(items(NAME, records), f"-n{NAMESPACE}")
    where.kubectl("apply", f"-n{NAMESPACE}", f"--filename={JOB}")
    follow(where, NAME, timeout=RUN_TIMEOUT)
    with progress.step("comparing the table and the failed keys with what the API serves"):
        found = outcome(where, api, JobName(NAMESPACE, NAME), TABLE, records)
    found.show(seconds=time.monotonic() - started)
    print(left_running(where, NAME))
    return found


def _remove_previous(where: Target, progress: Progress) -> None:
    with progress.step("removing what an earlier demo left"):
        delete = ("delete", "ingestionjob", NAME, f"-n{NAMESPACE}", "--ignore-not-found")
        where.kubectl(*delete, "--timeout=120s", timeout=150)
        Evidence(where).query(f"drop table if exists {TABLE}")


def remove(progress: Progress) -> None:
    """Remove the demo from the user's cluster that CONTEXT names."""
    where = user_target(os.environ.get("CONTEXT", ""), "", NAMESPACE)
    with progress.step(f"removing namespace {NAMESPACE} and what is in it"):
        uninstall(where)
    progress.say("the CustomResourceDefinition ingestionjobs.sluice.dev was left in the cluster")


def main() -> int:
    """Run the demo; exit code 0 when every row and failed key is as it must be.

    With the argument ``remove``, remove it from the user's cluster instead.
    """
    try:
        if sys.argv[1:] == ["remove"]:
            remove(Progress())
            return 0
        return 0 if demo(Progress()).as_predicted else 1
    except ClusterError as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrupted. What was started goes on: `make demo` begins anew,"
            " `make down` stops and removes all of it.",
            file=sys.stderr,
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
