"""The command ``sluice``."""
