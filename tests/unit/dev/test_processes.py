"""Programs that are started for a while, and who started them."""

import os
import select
import subprocess
import sys

STARTER = """
import subprocess, sys, time
from sluice_dev.processes import TETHER
started = subprocess.Popen([*TETHER, "sleep", "60"], start_new_session=True)
print(started.pid, flush=True)
time.sleep(60)
"""


def test_who_is_killed_leaves_no_tethered_program_behind() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        started = os.pidfd_open(int(starter.stdout.readline()))
        try:
            assert select.select([started], [], [], 0.2)[0] == [], "it runs"
            starter.kill()
            assert select.select([started], [], [], 20)[0] == [started], "it ended"
        finally:
            os.close(started)
