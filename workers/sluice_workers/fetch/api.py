"""One attempt at the API: a request, its answer read to the last byte, its records."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
from httpx_aiohttp import AiohttpTransport

from sluice_api.source import Http
from sluice_workers import kafka
from sluice_workers.fetch.answer import MalformedAnswerError, RecordsPath
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.request import InvalidItemError, UrlTemplate
from sluice_workers.fetch.retry import parse_retry_after
from sluice_workers.settings import read_text
from sluice_workers.wire import FailureReason


class TooLargeError(Exception):
    """The answer, or one record of it, is longer than it may be; the message says how long."""


class Api:
    """The HTTP API of a job, asked once per call; its pool holds one connection per request."""

    def __init__(self, http: Http, concurrency: int, headers: Mapping[str, str]) -> None:
        self._template = UrlTemplate.parse(http.url)
        self._records = RecordsPath.compile(http.records)
        self._timeout = http.timeout.seconds
        self._max_bytes = http.max_response_bytes
        limits = httpx.Limits(max_connections=concurrency, keepalive_expiry=30)
        self._client = httpx.AsyncClient(
            # httpx's own transport takes time that grows with the connections open.
            transport=AiohttpTransport(limits=limits),
            timeout=httpx.Timeout(None),
            headers={"accept": "application/json", **http.headers, **headers},
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def ask(self, item: Item) -> Fetched | Failure:
        """Ask for one item, within the timeout from the first byte to the last."""
        try:
            url = self._template.url(item)
            async with asyncio.timeout(self._timeout):
                return await self._answer(url)
        except InvalidItemError as error:
            return Failure(FailureReason.INVALID_ITEM, str(error))
        except TooLargeError as error:
            return Failure(FailureReason.TOO_LARGE, str(error))
        except MalformedAnswerError as error:
            return Failure(FailureReason.MALFORMED, str(error))
        except (TimeoutError, httpx.TimeoutException):
            message = f"no answer within {self._timeout:g} s"
            return Failure(FailureReason.TIMEOUT, message)
        except (httpx.HTTPError, OSError) as error:
            return Failure(FailureReason.CONNECTION, str(error) or type(error).__name__)
        except (httpx.InvalidURL, ValueError) as error:
            return Failure(FailureReason.INVALID_ITEM, f"no request can be made: {error}")

    async def _answer(self, url: str) -> Fetched | Failure:
        async with self._client.stream("GET", url) as response:
            if not response.is_success:
                return _refusal(response)
            body = await self._body(response)
        records = self._records.records(body)
        longest = max(map(len, records), default=0)
        if longest > kafka.MAX_VALUE_BYTES:
            raise TooLargeError(
                f"a record has {longest} bytes, the broker takes {kafka.MAX_VALUE_BYTES}"
            )
        return Fetched(records, datetime.now(UTC))

    async def _body(self, response: httpx.Response) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLargeError(
                    f"the answer is longer than maxResponseBytes ({self._max_bytes})"
                )
            chunks.append(chunk)
        return b"".join(chunks)


def _refusal(response: httpx.Response) -> Failure:
    after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    message = f"the API answered {response.status_code} {response.reason_phrase}".strip()
    return Failure(FailureReason.HTTP_STATUS, message, response.status_code, after)


def secret_headers(folder: Path) -> dict[str, str]:
    """Read the headers that a Secret gives: a file each, without the links Kubernetes adds."""
    files = sorted((folder / "headers").glob("[!.]*"))
    return {file.name: read_text(file).strip() for file in files}
