"""``make bench-rebalance``: how long items wait while fetchers come, go and die.

A few items a second are written to every partition while pods of two processes each join, restart,
are killed and are removed. The judge is the API's log: how long after it was written each item was
asked for, by whether its partition belonged to that pod or to another, and how often it was.
All this with members that are dynamic, as fetchers are, and with static ones.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from sluice_benchmarks.api import Api, api
from sluice_benchmarks.job import SLUICE, Job, Pod, broker, job, pod
from sluice_benchmarks.static_pod import MEMBER

DELAY: Final = 0.02
"""Seconds until the API answers."""
PARTITIONS: Final = 12
PROCESSES: Final = 2
EVERY: Final = 0.1
"""Seconds between two items of a partition."""
WATCHED: Final = 12.0
"""Seconds from an event on in which items count."""
ROUNDS: Final = {True: 1, False: 3}
"""By whether it should be quick."""
STATIC: Final = ("sluice_benchmarks.static_pod",)
MEMBERS: Final = {"dynamic": SLUICE, "static": STATIC}
EVENTS: Final = ("join", "restart", "removed", "killed")


@dataclass(frozen=True, slots=True)
class Waits:
    """What an event did."""

    own: float
    """The longest that an item of the pod's own partitions waited, seconds."""
    others: float
    """The longest that any other item waited, seconds."""
    repeated: int
    """Items that were asked for more than once."""


@dataclass(slots=True)
class Feed:
    """Items as they are written: the number of each tells its partition."""

    sent: list[float] = field(default_factory=list)

    async def run(self, topic: str) -> None:
        """Write one item to each partition, over and over."""
        producer = AIOKafkaProducer(bootstrap_servers=broker().bootstrap_servers)
        await producer.start()
        try:
            while True:
                for partition in range(PARTITIONS):
                    key = str(len(self.sent)).encode()
                    self.sent.append(time.monotonic())
                    await producer.send(topic, b"", key=key, partition=partition)
                await asyncio.sleep(EVERY)
        finally:
            await producer.stop()


class Pods:
    """The pods of one job."""

    def __init__(self, made: Job, program: tuple[str, ...], all_started: ExitStack) -> None:
        self._job = made
        self._program = program
        self._all_started = all_started
        self.running: dict[str, Pod] = {}

    def start(self, name: str) -> Pod:
        """Start a pod by its name."""
        os.environ[MEMBER] = name
        started = pod(self._job.folder, self._program)
        self.running[name] = self._all_started.enter_context(started)
        return self.running[name]

    async def settled(self) -> None:
        """Wait until each partition is in one process. Raises ``TimeoutError`` after a minute."""
        async with asyncio.timeout(60):
            while True:
                states = [await asyncio.to_thread(p.assigned) for p in self.running.values()]
                found = [partition for state in states for partition in state]
                if sorted(found) == list(range(PARTITIONS)) and all(states):
                    return
                await asyncio.sleep(0.2)


class Bench:
    """One job under feed, and its API."""

    def __init__(self, served: Api, pods: Pods, feed: Feed) -> None:
        self._served = served
        self._pods = pods
        self._feed = feed

    async def measure(self) -> dict[str, Waits]:
        """Let each event happen once to the third of three pods."""
        pods, found = self._pods, {}
        for name in "ab":
            pods.start(name)
        await pods.settled()
        await asyncio.sleep(5)
        found["join"] = await self._watch(lambda: pods.start("c"), before=False)
        found["restart"] = await self._watch(self._restart, before=True)
        found["removed"] = await self._watch(lambda: pods.running.pop("c").stop(), before=True)
        pods.start("c")
        await pods.settled()
        await asyncio.sleep(5)
        found["killed"] = await self._watch(lambda: pods.running.pop("c").kill(), before=True)
        return found

    def _restart(self) -> None:
        self._pods.running["c"].stop()
        self._pods.start("c")

    async def _watch(self, event: Callable[[], Any], *, before: bool) -> Waits:
        """Let something happen; ``before``: the pod's partitions are those that it had before."""
        own = self._pods.running["c"].assigned() if before else []
        begin, first = time.monotonic(), len(self._feed.sent)
        await asyncio.to_thread(event)
        await asyncio.sleep(max(0.0, WATCHED - (time.monotonic() - begin)))
        await self._pods.settled()
        last = len(self._feed.sent)
        await asyncio.sleep(3)
        own = own if before else self._pods.running["c"].assigned()
        return self._waits(range(first, last), frozenset(own))

    def _waits(self, items: range, own: frozenset[int]) -> Waits:
        asked: dict[int, float] = {}
        for number, at in zip(self._served.numbers, self._served.asked, strict=False):
            asked.setdefault(number, at)
        longest = {True: 0.0, False: 0.0}
        for number in items:
            wait = asked.get(number, time.monotonic()) - self._feed.sent[number]
            mine = number % PARTITIONS in own
            longest[mine] = max(longest[mine], wait)
        times = Counter(self._served.numbers)
        repeated = sum(1 for number in items if times[number] > 1)
        return Waits(longest[True], longest[False], repeated)


@contextmanager
def bench(program: tuple[str, ...], feed: Feed) -> Iterator[tuple[Bench, Job]]:
    """Set a job up whose members are made by ``program``."""
    with api(DELAY) as served:
        url = f"http://127.0.0.1:{served.port}"
        made = job(url, 0, partitions=PARTITIONS, processes=PROCESSES, concurrency=20)
        with made as found, ExitStack() as pods:
            yield Bench(served, Pods(found, program, pods), feed), found


async def one_round(found: Bench, made: Job, feed: Feed) -> dict[str, Waits]:
    """Measure under feed."""
    feeding = asyncio.create_task(feed.run(made.items))
    try:
        return await found.measure()
    finally:
        feeding.cancel()


def medians(rounds: list[dict[str, Waits]]) -> dict[str, Waits]:
    """Return the median of each figure over the rounds."""
    return {
        event: Waits(
            median(each[event].own for each in rounds),
            median(each[event].others for each in rounds),
            max(each[event].repeated for each in rounds),
        )
        for event in EVENTS
    }


def show(found: dict[str, dict[str, Waits]]) -> None:
    """Print the table."""
    table = Table(title="The longest that an item waits for its request, seconds")
    for title in ("members", "a pod", "its partitions", "the others", "asked again"):
        table.add_column(title, justify="left" if title in {"members", "a pod"} else "right")
    for members, events in found.items():
        for event, waits in events.items():
            table.add_row(
                *(members, event, f"{waits.own:.1f}", f"{waits.others:.1f}", f"{waits.repeated}")
            )
    Console(width=100).print(table)


def main() -> None:
    """Run the benchmark; QUICK=1 takes one round."""
    found = {}
    for members, program in MEMBERS.items():
        rounds = []
        for _ in range(ROUNDS[bool(os.environ.get("QUICK"))]):
            feed = Feed()
            with bench(program, feed) as (each, made):
                rounds.append(asyncio.run(one_round(each, made, feed)))
        found[members] = medians(rounds)
    show(found)
    figures = {
        f"{members}_{event}": [round(waits.own, 1), round(waits.others, 1)]
        for members, events in found.items()
        for event, waits in events.items()
    }
    print(json.dumps({"bench": "rebalance", **figures}))


if __name__ == "__main__":
    main()
