"""Names of Postgres as a job gives them: as the catalog has them, and quoted for SQL."""

from typing import Final

LONGEST: Final = 63
"""Bytes of a name that Postgres keeps."""
NAME: Final = r"^[^\x00]{1,63}$"
QUALIFIED: Final = r"^[^.\x00]{1,63}[.][^.\x00]{1,63}$"
"""A name with its schema; the dot between them is the only one."""


def quoted(*names: str) -> str:
    """Quote a name, or several that qualify each other."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
