"""``python -m sluice_cli`` is the command ``sluice``."""

from sluice_cli.main import main

main()
