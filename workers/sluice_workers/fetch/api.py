"""One attempt at the API: a request, its answer read to the last byte, its records."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from sluice_api.source import Http
from sluice_workers import kafka
from sluice_workers.fetch.answer import MalformedAnswerError, RecordsPath
from sluice_workers.fetch.connection import ERRORS, connection_failure
from sluice_workers.fetch.item import Item
from sluice_workers.fetch.outcome import Failure, Fetched
from sluice_workers.fetch.quota import exhausted_for
from sluice_workers.fetch.request import InvalidItemError, UrlTemplate
from sluice_workers.fetch.retry import parse_retry_after
from sluice_workers.fetch.routes import Route
from sluice_workers.wire import FailureReason


class TooLargeError(Exception):
    """The answer, or one record of it, is longer than it may be; the message says how long."""


class Api:
    """The HTTP API of a job, asked once per call."""

    def __init__(self, http: Http) -> None:
        """Raise ``ConfigurationError`` for a URL or a path that cannot be used."""
        self._template = UrlTemplate.parse(http.url)
        self._records = RecordsPath.compile(http.records)
        self._timeout = http.timeout.seconds
        self._max_bytes = http.max_response_bytes

    async def ask(self, item: Item, route: Route) -> Fetched | Failure:
        """Ask for one item, within the timeout from the first byte to the last."""
        try:
            url = self._template.url(item)
            async with asyncio.timeout(self._timeout):
                if route.tally is None:
                    return await self._answer(url, route)
                return await route.tally.patiently(lambda: self._answer(url, route))
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
        except ERRORS as error:
            return connection_failure(error)

    async def _answer(self, url: str, route: Route) -> Fetched | Failure:
        target = URL(url, encoded=True)
        request = route.session.get(target, headers=route.headers, allow_redirects=False)
        async with request as response:
            if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and route.proxy:
                return Failure(FailureReason.PROXY, "the proxy wants other credentials")
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


def default_headers(http: Http, secret: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent with every request, the Secret's headers last."""
    return {"accept": "application/json", **http.headers, **secret}
