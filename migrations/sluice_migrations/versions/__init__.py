"""Revisions of the schema ``sluice``, oldest first."""
