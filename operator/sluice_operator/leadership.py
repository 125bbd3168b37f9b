"""One operator at a time for each namespace: the one that holds the namespace's Lease.

Operators overlap when one watches all namespaces and another only this one, when two are
installed, or when one is scaled up. Each renews the Leases of the namespaces that it has jobs in;
where another holds one, it stands by.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from sluice_api.names import JobName
from sluice_operator import lease
from sluice_operator.kube import Kubernetes, NamespaceGoneError
from sluice_operator.lease import RENEWAL, RETRY, VALID, Sight

CALL: Final = 4.0
"""Seconds that the API server has for one answer about a Lease."""
UNUSED: Final = 90.0
"""Seconds after the last look at a job of a namespace, when its Lease is given back."""
_LOG: Final = logging.getLogger(__name__)

Reconcile = Callable[[JobName], Awaitable[float | None]]


def identity() -> str:
    """Tell this process from others; a container that is started again is the same."""
    space = os.environ.get("POD_NAMESPACE", "outside")
    return f"{space}/{socket.gethostname()}-{os.getpid()}"


class NotLeadingError(Exception):
    """The Lease is another's, or was lost while a job was looked at."""


class Leadership:
    """Looks at jobs where this operator holds the Lease."""

    def __init__(self, kubernetes: Kubernetes, identity: str, reconcile: Reconcile) -> None:
        self._kubernetes = kubernetes
        self._identity = identity
        self._reconcile = reconcile
        self._terms: dict[str, Term] = {}

    async def look(self, job: JobName) -> float | None:
        """Look at a job as soon as the Lease is held; a look ends when the Lease is lost."""
        if (term := self._terms.get(job.namespace)) is None:
            term = Term(self._kubernetes, job.namespace, self._identity)
            self._terms[job.namespace] = term
        while True:
            with suppress(NotLeadingError):
                async with term.held():
                    return await self._reconcile(job)

    async def close(self) -> None:
        """Give every Lease back, so that nobody waits until it is out of date."""
        await asyncio.gather(*(term.end() for term in self._terms.values()))


class Term:
    """One namespace's Lease: taken when it may be, and renewed while it is of use."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, identity: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._identity = identity
        self._sight: Sight | None = None
        self._wanted = asyncio.Event()
        self._taken = asyncio.Event()
        self._until = 0.0
        self._looks = 0
        self._used = _now()
        self._limits: set[asyncio.Timeout] = set()
        self._told = ""
        self._task = asyncio.create_task(self._keep(), name=f"lease of {namespace}")

    async def end(self) -> None:
        """Stop renewing, and give the Lease back."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._give_back()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Wait for the Lease. Raises ``NotLeadingError`` as soon as it is lost."""
        self._looks += 1
        self._wanted.set()
        try:
            await self._taken.wait()
            async with self._limit():
                yield
        finally:
            self._looks -= 1
            self._used = _now()

    @asynccontextmanager
    async def _limit(self) -> AsyncIterator[None]:
        if self._until <= _now():
            self._taken.clear()
            raise NotLeadingError
        limit = asyncio.timeout_at(self._until)
        self._limits.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                self._taken.clear()
                raise NotLeadingError from None
            raise
        finally:
            self._limits.discard(limit)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            while self._looks or _now() - self._used < UNUSED:
                await asyncio.sleep(RENEWAL if await self._try() else RETRY)
            await self._give_back()
            if not self._looks:
                self._wanted.clear()

    async def _try(self) -> bool:
        """Take or renew the Lease if that may be done; return whether there was an answer."""
        asked = _now()
        try:
            async with asyncio.timeout(CALL):
                mine = await self._renewed(asked)
        except NamespaceGoneError:
            # Nobody can take a Lease there any more; what is left to do is to let its jobs go.
            mine = True
        except Exception as error:  # noqa: BLE001  whatever it was, the next try may succeed
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            self._tell(f"its Lease {lease.NAME} cannot be had: {reason}")
            return False
        self._until = asked + VALID if mine else asked
        for limit in self._limits:
            if not limit.expired():  # one that is may still be unwinding
                limit.reschedule(self._until)
        if mine:
            self._taken.set()
        else:
            self._taken.clear()
        return True

    async def _renewed(self, now: float) -> bool:
        found = await self._kubernetes.get("Lease", self._namespace, lease.NAME)
        if found is None:
            await self._kubernetes.create(lease.body(self._namespace, self._identity, None))
        else:
            self._sight = lease.seen(self._sight, found, now)
            if not lease.free(self._sight, self._identity, now):
                self._tell(f"operator {self._sight.holder} looks after its jobs: standing by")
                return False
            await self._kubernetes.replace(lease.body(self._namespace, self._identity, found))
        self._tell("this operator looks after its jobs")
        return True

    async def _give_back(self) -> None:
        self._until, held = 0.0, self._taken.is_set()
        self._taken.clear()
        if not held:
            return
        with suppress(Exception):  # whoever waits, waits until it is out of date
            async with asyncio.timeout(CALL):
                found = await self._kubernetes.get("Lease", self._namespace, lease.NAME)
                if found is not None and lease.seen(None, found, 0).holder == self._identity:
                    await self._kubernetes.replace(lease.body(self._namespace, "", found))

    def _tell(self, what: str) -> None:
        if what != self._told:
            _LOG.warning("namespace %s: %s", self._namespace, what)
        self._told = what


def _now() -> float:
    return asyncio.get_running_loop().time()
