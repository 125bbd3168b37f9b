"""The node's first process: ``python -m sluice_dev.node <state> <commands>``.

It runs as process 1 of the node's own pid and mount namespaces, gives the node folders of its own
in place of the machine's /run, /var/lib and /var/log, and starts the components: one that ends, as
some do until the API answers, is started again. When this process ends, the kernel ends everything
in its namespaces.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

RESTART_DELAY: Final = 0.5
"""Seconds between a component's end and its next start."""
OWN_FOLDERS: Final = ("run", "var/lib", "var/log")


def main() -> NoReturn:
    """Start the components and keep them running."""
    state = Path(sys.argv[1])
    for name in OWN_FOLDERS:
        folder = state / "root" / name
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", folder, f"/{name}"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    commands = {item["name"]: item["command"] for item in plan(state)}
    running = {start(state, name, command): name for name, command in commands.items()}
    while True:
        pid, status = os.wait()
        if name := running.pop(pid, None):
            print(f"{name} ended with {os.waitstatus_to_exitcode(status)}, starting it again")
            time.sleep(RESTART_DELAY)
            running[start(state, name, commands[name])] = name


def plan(state: Path) -> list[dict[str, Any]]:
    """Read the names and commands to start, written by ``up``."""
    found: list[dict[str, Any]] = json.loads((state / "components.json").read_text())
    return found


def start(state: Path, name: str, command: list[str]) -> int:
    """Start a component with its log; return its process id inside the namespace."""
    with (state / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return process.pid


if __name__ == "__main__":
    main()
