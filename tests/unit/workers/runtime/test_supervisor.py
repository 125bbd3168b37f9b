"""The supervisor with real child processes."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice_dev.ports import free_port

HERE = Path(__file__).parent
PARENT = """
import sys
from pathlib import Path
from sluice_workers.runtime import explained_exit, supervise
from sluice_workers.runtime import supervisor

supervisor.DRAIN = float(sys.argv[5])
if __name__ == "__main__":
    role, count, target, folder, port = "test", int(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4])
    with explained_exit():
        sys.exit(supervise(role, count, target, Path(folder), port=port))
"""


@dataclass
class Pod:
    process: subprocess.Popen[str]
    port: int
    folder: Path

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/state")[1] or "{}")
        return found

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.get("/state")
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors


@contextmanager
def pod(folder: Path, target: str, processes: int = 2, drain: float = 20) -> Iterator[Pod]:
    path = os.pathsep.join([str(HERE), *sys.path])
    script = folder / "parent.py"
    script.write_text(PARENT)
    port = free_port()
    arguments = [str(processes), f"children:{target}", str(folder), str(port), str(drain)]
    with subprocess.Popen(
        [sys.executable, script, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Pod(process, port, folder)
        finally:
            process.kill()


def test_serves_the_state_of_all_children_and_drains_them(tmp_path: Path) -> None:
    with pod(tmp_path, "works") as found:
        found.until(lambda: found.get("/readyz")[0] == 200)
        assert found.get("/livez") == (200, "ok\n")
        state = found.state()
        assert state["role"] == "test"
        assert [process["done"] for process in state["processes"]] == [7, 7]
        assert found.get("/nothing")[0] == 404
        code, _ = found.end()
    assert code == 0
    assert sorted(path.name for path in tmp_path.glob("drained-*")) == ["drained-0", "drained-1"]


def test_sums_the_metrics_of_all_children_over_their_lives(tmp_path: Path) -> None:
    with pod(tmp_path, "works") as found:
        found.until(lambda: found.get("/readyz")[0] == 200)
        assert "sluice_test_starts_total 2.0" in found.get("/metrics")[1]
        (child,) = _children(found.process.pid)[:1]
        os.kill(child, signal.SIGKILL)
        found.until(lambda: found.get("/readyz")[0] == 503)
        assert "sluice_test_running 1.0" in found.get("/metrics")[1]
        found.until(lambda: found.get("/readyz")[0] == 200)
        text = found.get("/metrics")[1]
    assert "sluice_test_starts_total 3.0" in text
    assert "sluice_test_running 2.0" in text
    assert 'sluice_process_restarts_total{process="' in text


def test_starts_a_dead_child_again_and_counts_it(tmp_path: Path) -> None:
    with pod(tmp_path, "dies_first") as found:
        found.until(lambda: "trouble" in json.dumps(found.state()))
        found.until(lambda: found.get("/readyz")[0] == 200)
        restarts = [process["restarts"] for process in found.state()["processes"]]
        code, errors = found.end()
    assert restarts == [1, 0]
    assert code == 0
    assert "Process 0 ended with exit code -9" in errors


def test_a_wrong_configuration_ends_the_pod_with_one_sentence(tmp_path: Path) -> None:
    with pod(tmp_path, "misconfigured", processes=1) as found:
        _, errors = found.process.communicate(timeout=30)
    assert found.process.returncode == 1
    assert errors.splitlines()[-1] == "sluice: headers/0: must be text, found bytes"
    assert "Traceback" not in errors


def test_kills_a_child_that_does_not_drain(tmp_path: Path) -> None:
    with pod(tmp_path, "never_stops", processes=1, drain=0.5) as found:
        found.until(lambda: found.get("/readyz")[0] == 200)
        code, errors = found.end()
    assert code == 1
    assert "process 0 did not stop" in errors


def test_children_drain_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with pod(tmp_path, "works") as found:
        found.until(lambda: found.get("/readyz")[0] == 200)
        found.process.kill()
        found.until(lambda: len(list(tmp_path.glob("drained-*"))) == 2)


def test_the_supervisor_imports_no_client() -> None:
    check = (
        "import sys, sluice_workers.runtime\n"
        "clients = {'aiokafka', 'httpx', 'aiohttp', 'asyncpg', 'redis'} & {*sys.modules}\n"
        "sys.exit(', '.join(clients) or 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", check],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def _children(parent: int) -> list[int]:
    """The pids of the children that run a target, oldest first."""
    listing = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    pids = [int(pid) for pid in listing.split()]
    found = [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    if not found:
        pytest.fail(f"no child of {parent} among {pids}")
    return found
