"""A server that answers as no HTTP server should, byte for byte as it is told."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

RECORD = b'{"id": "x"}'
DEEP = b"[" * 100_000 + b"]" * 100_000
DRIP = 0.05
"""Seconds between two bytes of an answer that drips."""


def answer(body: bytes, *headers: str, length: int | None = None, status: str = "200 OK") -> bytes:
    """An answer with the given headers, and a length that may be a lie."""
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


BOMB = gzip.compress(b" " * (64 << 20))
GZIP = "Content-Encoding: gzip"
LIES: dict[str, tuple[bytes, str, str]] = {
    "html": (
        answer(b"<html>", "Content-Type: application/json"),
        "MalformedAnswer",
        "must be JSON",
    ),
    "cut-gzip": (
        answer(gzip.compress(RECORD)[:-6], GZIP),
        "MalformedAnswer",
        "gzip ends in the middle",
    ),
    "no-gzip": (answer(RECORD, GZIP), "MalformedAnswer", "is no gzip"),
    "no-br": (answer(RECORD, "Content-Encoding: br"), "MalformedAnswer", "is no br"),
    "no-zstd": (answer(RECORD, "Content-Encoding: zstd"), "MalformedAnswer", "is no zstd"),
    "coding": (
        answer(RECORD, "Content-Encoding: rot13"),
        "MalformedAnswer",
        "content-encoding must be one of",
    ),
    "megabytes": (answer(b" " * (3 << 20)), "AnswerTooLarge", "maxResponseBytes"),
    "bomb": (answer(BOMB, GZIP), "AnswerTooLarge", "maxResponseBytes"),
    "utf-8": (answer(b'{"id": "\xff\xfe"}'), "MalformedAnswer", "must be JSON"),
    "deep": (answer(DEEP), "MalformedAnswer", "must be JSON"),
    "closed": (answer(RECORD, length=1000), "ConnectionFailed", ""),
    "silent": (b"", "ConnectionFailed", ""),
    "no-http": (b"SSH-2.0-OpenSSH_9.2\r\n", "ConnectionFailed", ""),
    "headers": (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(100_000)),
        "ConnectionFailed",
        "",
    ),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + RECORD,
        "ConnectionFailed",
        "",
    ),
    "loop": (
        answer(b"", "Location: /loop", status="302 Found"),
        "RedirectRefused",
        "leads into a loop",
    ),
    "inside": (
        answer(b"", "Location: http://169.254.169.254/latest", status="302 Found"),
        "AddressForbidden",
        "SLUICE_ALLOWED_ADDRESSES",
    ),
    "astray": (
        answer(b"", "Location: http://other.example/", status="302 Found"),
        "RedirectRefused",
        "nor one of allowedOrigins",
    ),
    "drip": (answer(b" " * 10_000), "AnswerTooSlow", "minBytesPerSecond"),
    "latin-1": (
        b"HTTP/1.1 404 Introuv\xe9\r\nX-Cause: caf\xe9\r\nContent-Length: 0\r\n\r\n",
        "HttpStatus",
        "404 Introuv",
    ),
    "for-ever": (
        answer(b"", f"Retry-After: {'9' * 400}", status="503 Service Unavailable"),
        "HttpStatus",
        "503",
    ),
}
"""By key: what is sent, the reason by which the item is given up, and what its message tells."""


@dataclass
class Liar:
    """The server, and how often each key was asked for."""

    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            key = request.split()[1].decode().lstrip("/")
            self.asked[key] += 1
            for part in parts(key):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(DRIP if key == "drip" else 0)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def parts(key: str) -> Iterator[bytes]:
    if key not in LIES:
        yield answer(orjson.dumps({"id": key}))
        return
    sent = LIES[key][0]
    if key != "drip":
        yield sent
        return
    head, _, body = sent.partition(b"\r\n\r\n")
    yield head + b"\r\n\r\n"
    yield from (body[n : n + 1] for n in range(len(body)))


@asynccontextmanager
async def lying() -> AsyncIterator[Liar]:
    liar = Liar()
    server = await asyncio.start_server(liar.handle, "127.0.0.1", 0)
    liar.port = server.sockets[0].getsockname()[1]
    try:
        yield liar
    finally:
        server.close()
