"""How writers, migrations and the operator reach a database: passwords, TLS, a pooler."""

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from integration.postgres_server import OwnPostgres
from integration.processes import free_port, pod
from integration.write import manners
from integration.write.manners import PASSWORD, USER, loader, migrate, pgbouncer, said, secret
from integration.write.test_writer import World, assert_newest, dead_items, world
from sluice_api.errors import DependencyError
from sluice_dev.pki import Authority
from sluice_operator import sink as operator

__all__ = ["world"]
TLS_USER = "tls_only"
SIGNED_BY = Authority()
FOREIGN = Authority()


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    return await loader(server)


async def test_a_rotated_password_needs_no_restart(world: World, server: OwnPostgres) -> None:
    port = free_port()
    await world.produce(range(100), lambda _: 1)
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(100)
        world.uri = server.uri_of(USER, "second-secret", "warehouse")
        await server.execute(f"ALTER ROLE {USER} PASSWORD 'second-secret'")
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'sluice/%'"
        )
        await world.produce(range(100, 200), lambda _: 1)
        message = await manners.wait_for_trouble(port, "AuthenticationFailed", USER)
        assert "secret" not in message
        secret(world.folder, world.uri)
        await world.wait_for_offsets(200)
        assert (await said(port))["restarts"] == "0"
    await assert_newest(world, 200, 1)
    assert await dead_items(world) == []


def turn_tls_on(server: OwnPostgres, *names: x509.GeneralName) -> None:
    """Give a server a certificate for these names, and the user who may come by TLS alone."""
    certificate, key = SIGNED_BY.issue("postgres", "", names)
    for name, content in (("server.crt", certificate), ("server.key", key)):
        path = server.folder / "data" / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        server.give(path)
    server.set(ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key")


HERE = x509.IPAddress(ip_address("127.0.0.1"))
ELSEWHERE = x509.DNSName("warehouse.example.com")
REFUSALS = {
    "wrong authority": ((HERE,), FOREIGN.certificate, "CertificateRefused", "in the key ca.crt"),
    "wrong host": ((ELSEWHERE,), SIGNED_BY.certificate, "CertificateRefused", "is for another"),
    "no certificate": ((HERE,), b"no PEM", "InvalidAuthority", "ca.crt of the sink's Secret"),
    "no TLS": ((), SIGNED_BY.certificate, "CertificateRefused", "turn TLS on there"),
}


@pytest.fixture
async def tls_uri(server: OwnPostgres) -> str:
    return await loader(server, TLS_USER, "private")


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_server_that_cannot_prove_itself_is_refused_and_told(
    world: World, server: OwnPostgres, tls_uri: str, case: str
) -> None:
    names, authority, reason, words = REFUSALS[case]
    if names:
        turn_tls_on(server, *names)
    secret(world.folder, tls_uri, authority)
    with pytest.raises(DependencyError, match=words) as refused:
        await operator.forget(operator.Database(tls_uri, authority.decode()), "u")
    assert refused.value.reason == reason
    port = free_port()
    await world.produce(range(10), lambda _: 1)
    async with pod("write", world.folder, port=port):
        message = await manners.wait_for_trouble(port, reason, words)
        assert PASSWORD not in message
        turn_tls_on(server, HERE)
        secret(world.folder, tls_uri, SIGNED_BY.certificate)
        code, last = await migrate(world.folder)
        assert code == 0, last
        world.uri = f"{tls_uri}?sslmode=require"
        await world.wait_for_offsets(10)
    await operator.forget(
        operator.Database(tls_uri, SIGNED_BY.certificate.decode()), world.job.name
    )
    assert await world.offset_sum() == 0


async def test_a_migration_tells_of_a_refused_certificate(
    world: World, server: OwnPostgres, tls_uri: str
) -> None:
    turn_tls_on(server, ELSEWHERE)
    secret(world.folder, tls_uri, SIGNED_BY.certificate)
    code, last = await migrate(world.folder)
    assert code == 1
    assert "put a host name of the certificate in the URI" in last
    secret(world.folder, f"{tls_uri}?sslmode=verify-ca", SIGNED_BY.certificate)
    code, last = await migrate(world.folder)
    assert code == 0, last


async def test_everything_works_through_a_pooler_in_transaction_mode(
    world: World, server: OwnPostgres, tmp_path: Path
) -> None:
    """Fewer sessions than clients: each transaction may get another, and share it."""
    await server.execute("CREATE DATABASE pooled OWNER loader")
    world.uri = server.uri_of(USER, PASSWORD, "pooled")
    with pgbouncer(tmp_path, server, "pooled", pool=2) as port:
        pooled = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/pooled"
        secret(world.folder, pooled)
        for code, last in await asyncio.gather(*(migrate(world.folder) for _ in range(4))):
            assert code == 0, last
        await world.produce(range(5000), lambda _: 1)
        async with pod("write", world.folder), pod("write", world.folder):
            await world.wait_for_offsets(5000)
            for _ in range(3):
                await world.produce(range(5000), lambda _: 2)
                assert (await migrate(world.folder))[0] == 0
            await world.wait_for_offsets(20_000)
        await assert_newest(world, 5000, 2)
        assert await dead_items(world) == []
        await operator.prune(operator.Database(pooled), world.job.name, 7, (1, 1, 1, 1))
        await operator.forget(operator.Database(pooled), world.job.name)
    assert await world.offset_sum() == 0
