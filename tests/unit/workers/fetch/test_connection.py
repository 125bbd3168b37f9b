"""Connections, and what their failures mean: a proxy's fault is not the item's."""

import asyncio
import base64
from contextlib import suppress

import pytest

from sluice_workers.fetch.addresses import Addresses
from sluice_workers.fetch.connection import ERRORS, connection_failure, open_session
from sluice_workers.fetch.outcome import Failure
from sluice_workers.fetch.proxy import Proxy
from sluice_workers.wire import FailureReason


async def failure(proxy: Proxy) -> Failure:
    async with open_session(1, Addresses(), proxy) as session:
        try:
            async with session.get("http://api.example/"):
                pytest.fail("there is no such proxy")
        except ERRORS as error:
            return connection_failure(error)


async def test_a_proxy_whose_name_does_not_resolve_failed_itself() -> None:
    found = await failure(Proxy("http", "no-such-host.invalid", 3128))
    assert found.reason is FailureReason.PROXY
    assert "no-such-host.invalid" in found.message


async def test_a_proxy_that_speaks_no_tls_failed_itself() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 10)
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        found = await failure(Proxy("https", "127.0.0.1", server.sockets[0].getsockname()[1]))
    assert found.reason is FailureReason.PROXY


async def test_a_password_of_any_script_is_sent_and_shown_by_no_connection() -> None:
    heads: list[bytes] = []
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy = Proxy("http", "127.0.0.1", port, "u", "sésame-€")
    async with (
        server,
        open_session(1, Addresses(), proxy) as session,
        session.get("http://api.example/") as response,
    ):
        assert response.connection is not None
        assert "sésame" not in repr(response.connection)
    await closed.wait()
    assert base64.b64encode("u:sésame-€".encode()) in heads[0]


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 408 Request Timeout", b"HTTP/1.1 200 OK"])
async def test_what_a_server_says_unasked_is_nobodys_answer(unasked: bytes) -> None:
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split()[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.write(unasked + b"\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                said.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_session(1, Addresses(("127.0.0.0/8",))) as session:
        for number in range(4):
            async with session.get(f"http://127.0.0.1:{port}/{number}") as response:
                assert (response.status, await response.text()) == (200, f"/{number}")
            await said.wait()
            said.clear()
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
