"""The orders of one customer, from an API that wants each request signed: no YAML says that."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from typing import Any

from sluice_handler import Context, GiveUp, Item


async def fetch(item: Item, context: Context) -> AsyncIterator[dict[str, Any]]:
    """Yield the orders of all pages."""
    url = f"{context.parameters['api']}/customers/{item.key}/orders"
    page: str | None = "1"
    while page is not None:
        headers = signed(url, page, context.secrets["signing-key"])
        answer = await context.client.get(url, params={"page": page}, headers=headers)
        if answer.status_code == 410:  # noqa: PLR2004  Gone: the customer has left
            raise GiveUp(f"customer {item.key} has left")
        answer.raise_for_status()
        for order in answer.json()["orders"]:
            yield {"order_id": order["id"], "customer": item.key, "total": order["total"]}
        page = answer.headers.get("x-next-page")


def signed(url: str, page: str, key: str) -> dict[str, str]:
    """Return the headers that prove who asks."""
    moment = str(int(time.time()))
    text = f"{moment} {url} {page}".encode()
    signature = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
    return {"x-moment": moment, "x-signature": signature}
