"""One attempt at the API: a request, its answer read to the last byte, its records."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from yarl import URL

from sluice_api.source import Http
from sluice_workers import kafka
from sluice_workers.fetch.answer import MalformedAnswerError, RecordsPath
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.quota import exhausted_for
from sluice_workers.fetch.request import InvalidItemError, UrlTemplate
from sluice_workers.fetch.retry import parse_retry_after
from sluice_workers.wire import FailureReason


class TooLargeError(Exception):
    """The answer, or one record of it, is longer than it may be; the message says how long."""


class Api:
    """The HTTP API of a job, asked once per call; its pool holds one connection per request."""

    def __init__(self, http: Http, concurrency: int, headers: Mapping[str, str]) -> None:
        """Open the pool; to be called inside the event loop that uses it."""
        self._template = UrlTemplate.parse(http.url)
        self._records = RecordsPath.compile(http.records)
        self._timeout = http.timeout.seconds
        self._max_bytes = http.max_response_bytes
        defaults = {"accept": "application/json", **http.headers, **headers}
        self._session = open_session(concurrency, defaults)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

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
        except TimeoutError:
            message = f"no answer within {self._timeout:g} s"
            return Failure(FailureReason.TIMEOUT, message)
        except (aiohttp.InvalidURL, ValueError) as error:
            return Failure(FailureReason.INVALID_ITEM, f"no request can be made: {error}")
        except (aiohttp.ClientError, OSError) as error:
            return _broken(error)

    async def _answer(self, url: str) -> Fetched | Failure:
        async with self._session.get(URL(url, encoded=True), allow_redirects=False) as response:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return _refusal(response)
            body = await self._body(response.content)
        records = self._records.records(body)
        longest = max(map(len, records), default=0)
        if longest > kafka.MAX_VALUE_BYTES:
            raise TooLargeError(
                f"a record has {longest} bytes, the broker takes {kafka.MAX_VALUE_BYTES}"
            )
        now = datetime.now(UTC)
        return Fetched(records, now, exhausted_for(response.headers, now.timestamp()))

    async def _body(self, content: aiohttp.StreamReader) -> bytes:
        chunks, size = [], 0
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLargeError(
                    f"the answer is longer than maxResponseBytes ({self._max_bytes})"
                )
        return b"".join(chunks)


def _refusal(response: aiohttp.ClientResponse) -> Failure:
    now = datetime.now(UTC)
    message = f"the API answered {response.status} {response.reason or ''}".strip()
    return Failure(
        FailureReason.HTTP_STATUS,
        message,
        response.status,
        parse_retry_after(response.headers.get("retry-after"), now),
        exhausted_for(response.headers, now.timestamp()),
    )


def _broken(error: Exception) -> Failure:
    """Tell an answer that cannot be decoded from a connection that did not carry it."""
    if isinstance(error.__cause__, ContentEncodingError):
        return Failure(FailureReason.MALFORMED, f"the answer cannot be decoded: {error.__cause__}")
    return Failure(FailureReason.CONNECTION, str(error) or type(error).__name__)


def open_session(concurrency: int, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """Open a pool of connections, one per request in flight; inside the event loop that uses it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=30),
        # What one item's answer sets is nothing to the next item.
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers=headers,
    )
