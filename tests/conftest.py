"""What holds for all tests, and who runs which of them.

Properties never fail on speed: a busy machine is no counterexample.
"""

import os
import signal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")
# What is started in a shell's background ignores Ctrl-C, and so does all that it starts: tests that
# interrupt what they started would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have what a killed process leaves behind go with what the tests leave."""
    os.environ["TMPDIR"] = str(tmp_path_factory.getbasetemp())


class _Groups(LoadScopeScheduling):
    """Each test to whoever is free, but the end-to-end tests to one process, one by one.

    Each of their jobs is a dozen processes that start, and all ask one API.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """With --dist loadgroup, whose own marks pytest 9.2 does not pass on."""
    return _Groups(config, log) if config.getvalue("dist") == "loadgroup" else None
