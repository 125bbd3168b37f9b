"""``make bench-rate-limit``: how much of a limit is used, and what a far limit costs.

Two pods of four processes share a limit, judged by the API's own log. Then one process asks as fast
as it can, without a limit and with one that it never reaches, in turn.
"""

import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sluice_api.source import RateLimit
from sluice_benchmarks.api import Api, api, busiest
from sluice_benchmarks.job import job, pod
from sluice_benchmarks.sample import usage

DELAY: Final = 0.02
"""Seconds until the API answers."""
RATE: Final = 200
BURSTS: Final = (1, 10, 40)
PODS: Final = 2
PROCESSES: Final = 4
FAR: Final = 1_000_000
IN_FLIGHT: Final = 100
MOST: Final = 7000
"""Requests a second that one process will not exceed."""


@dataclass(frozen=True, slots=True)
class Length:
    """Rounds, and seconds of measuring."""

    rounds: int
    limited: float
    measured: float


LENGTHS: Final = {True: Length(1, 5.0, 3.0), False: Length(5, 30.0, 5.0)}
"""By whether it should be quick."""


@dataclass(frozen=True, slots=True)
class Limited:
    """What eight processes did of a limit."""

    used: float
    """The part of the limit that was used."""
    busiest: float
    """The busiest second, as a part of limit and burst."""


@dataclass(frozen=True, slots=True)
class Unbound:
    """What one process did, and what it cost."""

    rate: float
    cpu: float
    """Microseconds a request."""


def limit(requests: int, burst: int) -> RateLimit:
    """A limit by the second."""
    return RateLimit.model_validate({"requests": requests, "per": "1s", "burst": burst})


def until_asked(served: Api, count: int) -> None:
    """Wait for so many requests. Raises ``RuntimeError`` when that takes a minute."""
    deadline = time.monotonic() + 60
    while served.served < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count} requests did not come within 60 s")
        time.sleep(0.05)


def limited(burst: int, seconds: float) -> Limited:
    """Watch two pods of four processes that share a limit."""
    items = int(RATE * (seconds + 30))
    with api(DELAY) as served, ExitStack() as stack:
        changes: dict[str, Any] = {"rate_limit": limit(RATE, burst), "processes": PROCESSES}
        url = f"http://127.0.0.1:{served.port}"
        made = stack.enter_context(job(url, items, partitions=PODS * PROCESSES, **changes))
        for started in [stack.enter_context(pod(made.folder)) for _ in range(PODS)]:
            started.loops(PROCESSES)
        until_asked(served, 5 * RATE)
        begin = time.monotonic()
        time.sleep(seconds)
        times = [at for at in served.asked if begin <= at < begin + seconds]
    return Limited(len(times) / seconds / RATE, busiest(times, 1.0) / (RATE + burst))


@contextmanager
def one_process(served: Api, seconds: float, changes: Mapping[str, Any]) -> Iterator[int]:
    """Run one process that asks as fast as it can; yield its process id."""
    items, url = int(MOST * (seconds + 6)), f"http://127.0.0.1:{served.port}"
    with job(url, items, concurrency=IN_FLIGHT, **changes) as made, pod(made.folder) as started:
        yield started.loops(1)[0]


def unbound(seconds: float, **changes: Any) -> Unbound:
    """Watch one process that asks as fast as it can."""
    with api(DELAY) as served, one_process(served, seconds, changes) as pid:
        until_asked(served, 20 * IN_FLIGHT)
        before, asked, begin = usage(pid), served.served, time.monotonic()
        time.sleep(seconds)
        count, passed = served.served - asked, time.monotonic() - begin
        return Unbound(count / passed, (usage(pid).cpu - before.cpu) / count * 1e6)


def show(shares: Mapping[int, Limited], without: Unbound, far: Unbound) -> None:
    """Print the tables."""
    table = Table(title=f"{PODS * PROCESSES} processes share {RATE} requests a second")
    for title in ("burst", "of the limit used", "busiest second of limit and burst"):
        table.add_column(title, justify="right")
    for burst, found in shares.items():
        table.add_row(f"{burst}", f"{found.used:.1%}", f"{found.busiest:.1%}")
    Console(width=100).print(table)
    table = Table(title="One process, as fast as it can")
    for title in ("limit", "requests/s", "CPU us a request"):
        table.add_column(title, justify="right")
    for name, each in (("none", without), (f"{FAR:,}/s", far)):
        table.add_row(name, f"{each.rate:,.0f}", f"{each.cpu:,.0f}")
    Console(width=100).print(table)


def main() -> None:
    """Run the benchmark; QUICK=1 takes one short round."""
    length = LENGTHS[bool(os.environ.get("QUICK"))]
    shares = {burst: limited(burst, length.limited) for burst in BURSTS}
    without, far = [], []
    for _ in range(length.rounds):
        without.append(unbound(length.measured))
        far.append(unbound(length.measured, rate_limit=limit(FAR, 1000)))
    middle = [
        Unbound(
            statistics.median(each.rate for each in found),
            statistics.median(each.cpu for each in found),
        )
        for found in (without, far)
    ]
    show(shares, *middle)
    result = {
        "bench": "rate-limit",
        **{f"used_burst_{burst}": round(found.used, 3) for burst, found in shares.items()},
        "busiest_second": round(max(found.busiest for found in shares.values()), 3),
        "lost_far_away": round(1 - middle[1].rate / middle[0].rate, 3),
        "cpu_far_away": round(middle[1].cpu / middle[0].cpu, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
