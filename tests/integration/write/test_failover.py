"""Commits whose answer is lost, and databases that fail over to a replica."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from integration.postgres_server import OwnPostgres
from integration.processes import free_port, pod
from integration.write import manners
from integration.write.manners import PASSWORD, USER, loader, said, secret
from integration.write.test_writer import World, assert_newest, committed, dead_items, world

__all__ = ["world"]
COMMIT: Final = b"COMMIT\x00"
"""The end of the message by which a session commits."""


@pytest.fixture
async def postgres_uri(server: OwnPostgres) -> str:
    return await loader(server)


class Cutter:
    """A TCP proxy before Postgres that cuts connections at their COMMIT, some times."""

    def __init__(self, port: int, *, forward: bool, times: int) -> None:
        self._behind = port
        self._forward = forward
        """Whether the server still gets the COMMIT, so that its answer alone is lost."""
        self._times = times
        self.cut = 0
        self._commits = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._behind)
        passing = asyncio.create_task(_pass(answers, writer))
        try:
            while data := await reader.read(1 << 16):
                if data.endswith(COMMIT) and self._is_due():
                    passing.cancel()
                    await asyncio.wait({passing})
                    if self._forward:
                        requests.write(data)
                        await requests.drain()
                        await answers.read(1 << 16)  # the server has committed
                    self.cut += 1
                    return
                requests.write(data)
                await requests.drain()
        except ConnectionError:
            pass
        finally:
            passing.cancel()
            requests.close()
            writer.close()

    def _is_due(self) -> bool:
        """Every other one from the fourth on, so that what comes between gets through."""
        self._commits += 1
        return self._commits > 3 and self._commits % 2 == 0 and self.cut < self._times


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def cutting(port: int, *, forward: bool, times: int) -> AsyncIterator[tuple[Cutter, int]]:
    cutter = Cutter(port, forward=forward, times=times)
    listening = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    try:
        yield cutter, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


HISTORY = """
    CREATE TABLE moves (seq bigserial, partition int, first bigint, next bigint);
    CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.next_offset <> OLD.next_offset THEN
        INSERT INTO moves (partition, first, next)
        VALUES (NEW.partition, OLD.next_offset, NEW.next_offset);
      END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER moved AFTER UPDATE ON sluice.offsets FOR EACH ROW EXECUTE FUNCTION moved();
    CREATE TABLE written (id bigint);
    CREATE FUNCTION written() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO written VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER written AFTER INSERT OR UPDATE ON users
      FOR EACH ROW EXECUTE FUNCTION written();
"""
"""Each record that was written, and each step of the offsets, in what was committed."""


@pytest.mark.parametrize("forward", [True, False])
async def test_a_commit_without_an_answer_is_settled_by_the_offsets(
    world: World, server: OwnPostgres, forward: bool
) -> None:
    """Cut after the COMMIT was passed on, it counts; cut before, it does not."""
    await server.execute(HISTORY, world.uri)
    await world.produce(range(6000), lambda _: 1)
    async with cutting(server.port, forward=forward, times=5) as (cutter, port):
        secret(world.folder, f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/warehouse")
        async with pod("write", world.folder):
            await world.wait_for_offsets(6000)
    assert cutter.cut == 5
    await assert_newest(world, 6000, 1)
    # Nothing was repeated: each record was written once in all that was committed.
    assert await world.fetch("SELECT count(*), count(DISTINCT id) FROM written") == [(6000, 6000)]
    assert await world.fetch(
        "SELECT count(*) FROM (SELECT first, lag(next, 1, 0::bigint) OVER"
        " (PARTITION BY partition ORDER BY seq) AS before FROM moves) AS m WHERE first <> before"
    ) == [(0,)]
    assert await dead_items(world) == []


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[OwnPostgres]:
    found = OwnPostgres(tmp_path / "replica")
    try:
        yield found
    finally:
        found.stop()


def either(server: OwnPostgres, replica: OwnPostgres) -> str:
    """The URI that leads to whichever of two servers takes writes."""
    hosts = f"127.0.0.1:{server.port},127.0.0.1:{replica.port}"
    attribute = "target_session_attrs=read-write"
    return f"postgresql://{USER}:{PASSWORD}@{hosts}/warehouse?{attribute}"


@pytest.mark.parametrize("how", ["stopped", "read-only"])
async def test_a_failover_loses_and_doubles_nothing(
    world: World, server: OwnPostgres, replica: OwnPostgres, how: str
) -> None:
    """The old primary crashes, or stays and takes no writes, in the middle of writing."""
    replica.copy(server)
    server.set(synchronous_standby_names="*")
    secret(world.folder, either(server, replica))
    port = free_port()
    await world.produce(range(20_000), lambda _: 1)
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(2000)
        if how == "stopped":
            server.stop()
            reason = "DatabaseUnreachable"
        else:
            server.set(default_transaction_read_only="on")
            reason = "ReadOnly"
        message = await manners.wait_for_trouble(port, reason)
        assert message
        replica.promote()
        replica.set(synchronous_standby_names="")
        world.uri = replica.uri_of(USER, PASSWORD, "warehouse")
        await world.wait_for_offsets(20_000)
        assert (await said(port))["restarts"] == "0"
    await assert_newest(world, 20_000, 1)
    assert await dead_items(world) == []


async def test_what_an_asynchronous_failover_lost_is_written_again(
    world: World, server: OwnPostgres, replica: OwnPostgres
) -> None:
    """The replica lacks the last commits: its offsets say so, and the topic still has them."""
    await world.produce(range(3000), lambda _: 1)
    port = free_port()
    async with pod("write", world.folder, port=port):
        await world.wait_for_offsets(3000)
        replica.copy(server)
        secret(world.folder, either(server, replica))
        await cut_off(server, replica)
        await world.produce(range(2000, 6000), lambda _: 2)
        await world.wait_for_offsets(7000)
        async with asyncio.timeout(20):
            while await committed(world) < 7000:
                await asyncio.sleep(0.2)
        server.stop()
        replica.promote()
        world.uri = replica.uri_of(USER, PASSWORD, "warehouse")
        assert await world.offset_sum() == 3000
        # Nobody produces anything: the loss alone must be noticed.
        await world.wait_for_offsets(7000)
    rows = await world.fetch("SELECT name, count(*), min(id), max(id) FROM users GROUP BY 1")
    assert sorted(rows) == [("v1", 2000, 0, 1999), ("v2", 4000, 2000, 5999)]


async def cut_off(server: OwnPostgres, replica: OwnPostgres) -> None:
    """Let a replica follow no longer, as if the network between them were broken."""
    replica.set(primary_conninfo="host=127.0.0.1 port=1")
    async with asyncio.timeout(30):
        while True:
            try:
                await server.execute(
                    "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_stat_replication); END $$"
                )
            except Exception:  # noqa: BLE001
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_server_that_vanishes_without_a_word_is_noticed(tmp_path: Path) -> None:
    script = Path(__file__).with_name("vanishing_server.py")
    process = await asyncio.create_subprocess_exec(
        "unshare", "--net", sys.executable, str(script), str(tmp_path / "alone"),
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    async with asyncio.timeout(100):
        output, _ = await process.communicate()
    assert 5 < int(output) < 45
