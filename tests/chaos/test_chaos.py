"""A short run of `make chaos`: whatever is hurt, each record ends where it belongs, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_stale_or_reordered() -> None:
    """Another schedule than this one is tried by SEED=…"""
    given = {"SEED": os.environ.get("SEED", "8"), "FAULTS": "10"}
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(TESTS)])
    found = subprocess.run(
        [sys.executable, "-m", "chaos"],
        env=os.environ | given | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    result = json.loads(found.stdout.splitlines()[-1])
    violations = ("lost", "doubled", "stale", "reordered", "foreign", "stuck")
    assert [result[name] for name in violations] == [0] * len(violations)
    assert result["faults"] == 10
