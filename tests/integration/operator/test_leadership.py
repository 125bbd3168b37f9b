"""Two operators that watch one namespace, against a real API server, with the manifests' RBAC."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from integration.operator.conftest import apply_access
from sluice_api.names import JobName
from sluice_dev.target import Target
from sluice_operator.kube import Kubernetes, NamespaceGoneError
from sluice_operator.leadership import Leadership
from sluice_operator.lease import DURATION, NAME, VALID, body


class Operator:
    """An operator that only counts its looks."""

    def __init__(self, kubernetes: Kubernetes, name: str, job: JobName) -> None:
        self.name = name
        self.looks = 0
        self.takes, self.unwinds = 0.05, 0.0
        self.leadership = Leadership(kubernetes, name, self._look)
        self._task = asyncio.create_task(self._watch(job))

    async def _look(self, _job: JobName) -> float | None:
        self.looks += 1
        try:
            await asyncio.sleep(self.takes)
        finally:
            await asyncio.sleep(self.unwinds)
        return 0

    async def _watch(self, job: JobName) -> None:
        while True:
            await self.leadership.look(job)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.leadership.close()

    def kill(self) -> None:
        """End without giving anything back."""
        for task in (self._task, *asyncio.all_tasks()):
            if task is self._task or task.get_name().startswith("lease of"):
                task.cancel()


Begin = Callable[[str], Awaitable[Operator]]


@pytest.fixture
async def begin(where: Target, operator: Kubernetes) -> AsyncIterator[Begin]:
    apply_access(where)
    begun: list[Operator] = []

    async def make(name: str) -> Operator:
        begun.append(Operator(operator, name, JobName(where.jobs, "users")))
        return begun[-1]

    yield make
    for each in begun:
        await each.stop()


async def until(holds: Callable[[], bool], seconds: float) -> float:
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time() - started


def holder(where: Target) -> str:
    found = where.kubectl.json("get", "lease", NAME, f"-n{where.jobs}")
    return str(found["spec"].get("holderIdentity", ""))


async def test_one_looks_after_the_jobs_and_the_other_stands_by_until_it_stops(
    where: Target, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    first = await begin("first")
    await until(lambda: first.looks > 0, 20)
    second = await begin("second")
    await asyncio.sleep(VALID + 5)
    assert second.looks == 0
    assert holder(where) == "first"
    assert "operator first looks after its jobs: standing by" in caplog.text
    await first.stop()
    assert await until(lambda: second.looks > 0, 20) < DURATION
    assert holder(where) == "second"


async def test_the_jobs_of_a_killed_operator_are_taken_over_when_its_lease_is_out_of_date(
    where: Target, begin: Begin
) -> None:
    first = await begin("first")
    await until(lambda: first.looks > 0, 20)
    first.kill()
    second = await begin("second")
    assert await until(lambda: second.looks > 0, 40) > VALID
    assert holder(where) == "second"


async def test_a_look_ends_when_the_lease_is_lost(where: Target, begin: Begin) -> None:
    """Somebody hands it to another, as if this operator had been away for too long."""
    first = await begin("first")
    await until(lambda: first.looks > 0, 20)
    stolen = '{"spec": {"holderIdentity": "other"}}'
    where.kubectl("patch", "lease", NAME, f"-n{where.jobs}", "--type=merge", f"--patch={stolen}")
    await asyncio.sleep(VALID)
    before = first.looks
    await asyncio.sleep(1)
    assert first.looks == before
    await until(lambda: first.looks > before, 2 * DURATION)


async def test_a_look_that_takes_long_to_end_does_not_end_the_others(
    where: Target, begin: Begin
) -> None:
    """It is broken off, and the Lease is anybody's again, before it has ended."""
    first = await begin("first")
    first.takes, first.unwinds = 60, DURATION + VALID
    await until(lambda: first.looks > 0, 20)
    stolen = '{"spec": {"holderIdentity": "other"}}'
    where.kubectl("patch", "lease", NAME, f"-n{where.jobs}", "--type=merge", f"--patch={stolen}")
    await until(lambda: first.looks > 1, 3 * DURATION + VALID)


async def test_the_jobs_of_a_namespace_that_is_being_deleted_are_still_looked_after(
    where: Target, administrator: Kubernetes
) -> None:
    """A finalizer keeps the namespace, as that of a job does; no Lease can be made in it."""
    name, namespace = "configmap/kept", f"-n{where.jobs}"
    where.kubectl("create", *name.split("/"), namespace)
    patch = ("patch", name, namespace, "--type=merge")
    where.kubectl(*patch, '--patch={"metadata": {"finalizers": ["sluice.dev/test"]}}')
    where.kubectl("delete", "namespace", where.jobs, "--wait=false")
    first = Operator(administrator, "first", JobName(where.jobs, "users"))
    try:
        with pytest.raises(NamespaceGoneError):
            await administrator.create(body(where.jobs, "other", None))
        await until(lambda: first.looks > 0, 20)
    finally:
        await first.stop()
        where.kubectl(*patch, '--patch={"metadata": {"finalizers": []}}')
