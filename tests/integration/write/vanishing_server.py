"""In a network of its own: a query whose server vanishes without a word. Prints how long it hung.

``python vanishing_server.py FOLDER``
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import uvloop

from integration.postgres_server import own_postgres
from sluice_workers.write.database import connect


async def main(uri: str) -> None:
    connection = await connect(uri, "sluice/test")
    asyncio.get_running_loop().call_later(1, _cut)
    started = time.monotonic()
    try:
        await connection.execute("SELECT pg_sleep(200)")
    except asyncpg.PostgresConnectionError:
        sys.stdout.write(f"{time.monotonic() - started:.0f}")
    finally:
        connection.terminate()


def _cut() -> None:
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with own_postgres(Path(sys.argv[1])) as server:
        uvloop.run(main(server.uri))
