"""``make bench-fetcher``: plain httpx, raw aiohttp, the fetcher's HTTP path, the whole fetcher.

"aiohttp" is as it comes; "aiohttp, tuned" has the garbage collector set as the fetcher's processes
have it. All ask one local API that answers after 20 ms, in turn, several rounds in one run. The API
counts the answers; the kernel counts the CPU time. Figures are medians over the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from sluice_benchmarks.api import Api, api
from sluice_benchmarks.job import whole_fetcher
from sluice_benchmarks.sample import usage
from sluice_dev.processes import TETHER

DELAY: Final = 0.02
"""Seconds until the API answers."""
PATHS: Final = (
    *(("httpx", 10), ("aiohttp", 10), ("fetcher", 10)),
    *(("httpx", 100), ("aiohttp", 100), ("fetcher", 100)),
    # Plain httpx takes minutes to open 1,000 connections: it is left out.
    *(("aiohttp", 1000), ("aiohttp, tuned", 1000), ("fetcher", 1000)),
)
WHOLE: Final = "fetcher, topic to topic"
WHOLE_IN_FLIGHT: Final = (100, 1000)
MOST: Final = 7000
"""Items a second that the whole fetcher will not exceed: as many are there for it."""
START: Final = 3.0
"""Seconds that it may have asked before it is watched, and afterwards."""

Case = tuple[str, int]
"""A candidate, and how many requests it keeps in flight."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one client did in one round."""

    rate: float
    """Requests a second."""
    cpu: float
    """CPU microseconds a request, user and system."""
    resident: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long things take: rounds, and seconds of warming up and of measuring."""

    rounds: int
    warm_up: float
    measured: float


LENGTHS: Final = {True: Length(1, 1.0, 2.0), False: Length(5, 2.0, 5.0)}


@contextmanager
def client(name: str, served: Api, in_flight: int) -> Iterator[int]:
    """Run a client in a process of its own; yield its process id."""
    url = f"http://127.0.0.1:{served.port}"
    command = [*TETHER, sys.executable, "-m", "sluice_benchmarks.clients"]
    process = subprocess.Popen([*command, name, url, str(in_flight)])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def measure(served: Api, pid: int, in_flight: int, length: Length) -> Figures:
    """Watch a client at work, once each connection has had its turn.

    Raises ``RuntimeError`` when that takes a minute.
    """
    wanted, deadline = served.served + 2 * in_flight, time.monotonic() + 60
    while served.served < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError("the client does not get going within 60 s")
        time.sleep(0.05)
    time.sleep(length.warm_up)
    before, asked, started = usage(pid), served.served, time.monotonic()
    time.sleep(length.measured)
    after, requests, seconds = usage(pid), served.served - asked, time.monotonic() - started
    return Figures(requests / seconds, (after.cpu - before.cpu) / requests * 1e6, after.resident)


def one_round(served: Api, length: Length) -> Iterator[tuple[Case, Figures]]:
    """Measure every candidate once."""
    for name, in_flight in PATHS:
        with client(name, served, in_flight) as pid:
            yield (name, in_flight), measure(served, pid, in_flight, length)
    for in_flight in WHOLE_IN_FLIGHT:
        items = int(MOST * (length.warm_up + length.measured + START))
        with whole_fetcher(f"http://127.0.0.1:{served.port}", in_flight, items) as pid:
            yield (WHOLE, in_flight), measure(served, pid, in_flight, length)


def medians(found: Mapping[Case, Sequence[Figures]]) -> dict[Case, Figures]:
    """Return the median of each figure over the rounds."""
    return {
        case: Figures(
            statistics.median(each.rate for each in figures),
            statistics.median(each.cpu for each in figures),
            statistics.median_low(each.resident for each in figures),
        )
        for case, figures in found.items()
    }


def ratios(found: Mapping[Case, Figures]) -> dict[str, str | float]:
    """Return what the benchmark is for."""

    def rate(name: str, in_flight: int) -> float:
        return found[name, in_flight].rate

    held = found["fetcher", 1000].resident - found["fetcher", 10].resident
    return {
        "bench": "fetcher",
        "vs_httpx_100": round(rate("fetcher", 100) / rate("httpx", 100), 1),
        "vs_aiohttp_100": round(rate("fetcher", 100) / rate("aiohttp", 100), 2),
        "vs_aiohttp_1000": round(rate("fetcher", 1000) / rate("aiohttp", 1000), 2),
        "vs_tuned_aiohttp_1000": round(rate("fetcher", 1000) / rate("aiohttp, tuned", 1000), 2),
        "cpu_growth": round(found["fetcher", 1000].cpu / found["fetcher", 100].cpu, 2),
        "process_vs_path": round(rate(WHOLE, 100) / rate("fetcher", 100), 2),
        "process_vs_path_1000": round(rate(WHOLE, 1000) / rate("fetcher", 1000), 2),
        "bytes_per_request_in_flight": round(held / (1000 - 10)),
    }


def show(found: Mapping[Case, Figures]) -> None:
    """Print the table."""
    table = Table(title=f"Requests to an API that answers after {DELAY * 1000:.0f} ms")
    table.add_column("client")
    for title in ("in flight", "requests/s", "CPU us a request", "resident MiB"):
        table.add_column(title, justify="right")
    for (name, in_flight), figures in found.items():
        table.add_row(
            name, f"{in_flight:,}", f"{figures.rate:,.0f}", f"{figures.cpu:,.0f}",
            f"{figures.resident / (1 << 20):,.0f}",
        )  # fmt: skip
    Console(width=100).print(table)


def main() -> None:
    """Run the benchmark; QUICK=1 takes one short round."""
    length = LENGTHS[bool(os.environ.get("QUICK"))]
    found: dict[Case, list[Figures]] = {}
    with api(DELAY) as served:
        for number in range(1, length.rounds + 1):
            for case, figures in one_round(served, length):
                found.setdefault(case, []).append(figures)
                print(f"  round {number}: {case[0]}, {case[1]:,} in flight: {figures.rate:,.0f}/s")
    result = medians(found)
    show(result)
    print(json.dumps(ratios(result)))


if __name__ == "__main__":
    main()
