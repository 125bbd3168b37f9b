"""What a handler meets: a coroutine of your own that fetches one item; see docs/handlers.md.

async def fetch(item: Item, context: Context) -> list[dict]:
    answer = await context.client.get(f"https://api.example.com/users/{item.key}")
    answer.raise_for_status()
    return [answer.json()]
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

__all__ = ["Context", "GiveUp", "Handler", "Item", "RateLimited", "Record", "Retry"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the job."""

    key: str
    """The item key."""
    attributes: Mapping[str, Any]
    """The columns of the query, or the JSON object of the message, that the item came from."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the handlers of one process share."""

    client: httpx.AsyncClient
    """Keeps connections open between items, and cookies never. Each request beyond the first of an
    item waits for the job's rate limit by itself; there is no need for time-outs of its own."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """``source.handler.parameters`` of the job."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The data of the Secret that ``source.handler.secretRef`` names."""


Record: TypeAlias = Mapping[str, Any]
"""A JSON object: what one row is made from."""

Handler: TypeAlias = Callable[[Item, Context], Awaitable[Iterable[Record]] | AsyncIterator[Record]]
"""A coroutine that returns an item's records, or an asynchronous generator that yields them."""


class Retry(Exception):  # noqa: N818  it is no error but a request
    """Raised by a handler: the item is to be tried again, as ``source.retry`` allows."""

    def __init__(self, message: str, after: float | None = None) -> None:
        """Take a sentence why, and how many seconds to wait at the least."""
        super().__init__(message)
        self.after = None if after is None else float(after)


class RateLimited(Exception):  # noqa: N818  it is no error but a request
    """Raised by a handler: the API was asked too often. Lowers the rate, costs no attempt."""

    def __init__(self, message: str, after: float | None = None) -> None:
        """Take a sentence why, and for how many seconds the job is to rest at the least."""
        super().__init__(message)
        self.after = None if after is None else float(after)


class GiveUp(Exception):  # noqa: N818  it is no error but a request
    """Raised by a handler: another attempt would not help. The item goes to the dead topic."""
