"""What members of consumer groups do alike: they start, and keep still while others move."""

import asyncio
from types import TracebackType

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from sluice_workers.trouble import Troubles, pause


async def started(consumer: AIOKafkaConsumer, stopping: asyncio.Event, troubles: Troubles) -> bool:
    """Start a consumer; return False when told to stop before the broker answers."""
    while not stopping.is_set():
        try:
            await consumer.start()
        except KafkaError as error:
            troubles.say("BrokerUnreachable", f"the broker does not answer: {error}")
            await pause(stopping)
        else:
            troubles.clear()
            return True
    return False


class RebalanceLock:
    """A lock that a rebalance holds from the moment partitions are revoked until it assigns some.

    Whatever commits does so under it: a commit in between would make the group storm. Partitions
    may be revoked several times before any are assigned, and assigned without being revoked.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._rebalancing = False

    async def __aenter__(self) -> None:
        """Wait until no rebalance is under way, and nobody else is at it."""
        await self._lock.acquire()

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        self._lock.release()

    async def revoked(self) -> None:
        """Take it for the rebalance, once what is under way has ended."""
        if not self._rebalancing:
            await self._lock.acquire()
            self._rebalancing = True

    def assigned(self) -> None:
        """End the rebalance."""
        if self._rebalancing:
            self._rebalancing = False
            self._lock.release()
