"""A Postgres of the test's own, for those that ask for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.postgres_server import OwnPostgres, own_postgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnPostgres]:
    with own_postgres(tmp_path / "postgres") as found:
        yield found
