"""``python -m sluice_dev`` is the command ``dev/cluster``."""

from sluice_dev.command import main

main(prog_name="dev/cluster")
