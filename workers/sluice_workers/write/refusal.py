"""What an error of Postgres means: a wrong record, a broken target, or bad luck. Pure."""

from enum import StrEnum
from typing import Any, Final

import asyncpg

from sluice_api.errors import DependencyError
from sluice_migrations.certificates import refused


class Kind(StrEnum):
    """What to do about an error."""

    RECORD = "record"
    """A record of the batch is at fault: it is looked for."""
    AGAIN = "again"
    """Nobody is: the whole batch again, at once."""
    TARGET = "target"
    """The database, the table or the way there is: wait, and say so."""


_RECORD_CLASSES: Final = frozenset({"21", "22", "23", "44", "54", "P0"})
"""Cardinality, data, constraints, check options, limits of a row, and triggers that object."""
_AGAIN: Final = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock."""
_NOT_THE_RECORD: Final = frozenset({"54001"})
"""Statement too complex."""
_ROW_SECURITY: Final = "ExecWithCheckOptions"
"""Where Postgres refuses a row by a policy: with the SQLSTATE of a missing permission."""
_PARTITIONING: Final = "ExecFindPartition"
"""Where Postgres finds no partition for a row: with the SQLSTATE of a check that it fails."""
_ENCODING: Final = (ValueError, TypeError, OverflowError)
"""What asyncpg raises when it cannot encode a value."""

GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""What asyncpg raises when a server goes away while it is asked; the last with ``TimeoutError``."""
ERRORS: Final = (asyncpg.PostgresError, *GONE, *_ENCODING)
"""What a transaction may end with."""

_REASONS: Final = {
    "25006": ("ReadOnly", "the sink's database is read-only, as a standby is"),
    "28": ("AuthenticationFailed", "the sink's database refuses the user"),
    "3D": ("DatabaseMissing", "the sink's database does not exist"),
    "42501": ("PermissionDenied", "the sink's user lacks a permission: grant it"),
    "42": ("TableMismatch", "the sink's table does not fit"),
    "3F": ("TableMismatch", "the sink's table does not fit"),
    "0A": ("TableMismatch", "the sink's table cannot be written this way"),
    "53100": ("DiskFull", "the sink's database has no disk space left"),
    "53300": ("TooManyConnections", "the sink's database takes no more connections"),
    "53": ("OutOfResources", "the sink's database lacks resources"),
    "57014": ("StatementTimeout", "the sink's database took too long, or somebody cancelled it"),
}
"""By SQLSTATE, else by its class."""
_NO_PRIMARY: Final = (
    "ReadOnly",
    "no host of the sink's URI is what its target_session_attrs asks for: promote one of them",
)
_NO_PARTITION: Final = (
    "PartitionMissing",
    "the sink's table has no partition for a row: create it, or a DEFAULT one",
)
_UNREACHABLE: Final = ("DatabaseUnreachable", "the sink's database does not answer")


def sqlstate(error: BaseException) -> str:
    """Return the five characters by which Postgres names an error; empty when it is none of it."""
    return str(getattr(error, "sqlstate", None) or "")


def kind(error: BaseException) -> Kind:
    """Tell what to do about an error."""
    state = sqlstate(error)
    if state in _AGAIN:
        return Kind.AGAIN
    if _raised_in(error) == _ROW_SECURITY:
        return Kind.RECORD
    if _raised_in(error) == _PARTITIONING:
        return Kind.TARGET
    if state[:2] in _RECORD_CLASSES and state not in _NOT_THE_RECORD:
        return Kind.RECORD
    if isinstance(error, _ENCODING) and not isinstance(error, (asyncpg.InterfaceError, OSError)):
        return Kind.RECORD
    return Kind.TARGET


def _raised_in(error: BaseException) -> str:
    """Return the function of Postgres that raised an error: the same in every language."""
    return str(getattr(error, "server_source_function", None) or "")


def is_statement_error(error: BaseException) -> bool:
    """Whether another statement may do: COPY takes no views, and no row-level security."""
    return sqlstate(error)[:2] in {"0A", "42"}


def may_pass_later(error: BaseException) -> bool:
    """Whether another record of the batch may have been in the way: a unique value, a parent."""
    return sqlstate(error) in {"23505", "23P01", "23503"}


def failure(error: BaseException) -> DependencyError:
    """Tell what a failure of the database means for the job, and what to do about it."""
    if found := refused(error):
        return found
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        reason, words = _NO_PRIMARY
        return DependencyError(reason, f"{words}: {first_line(error)}")
    if _raised_in(error) == _PARTITIONING:
        reason, words = _NO_PARTITION
        return DependencyError(reason, f"{words}: {error}: {getattr(error, 'detail', None)}")
    state = sqlstate(error)
    reason, words = _REASONS.get(state) or _REASONS.get(state[:2]) or _UNREACHABLE
    return DependencyError(reason, f"{words}: {first_line(error)}")


def refusal(error: BaseException) -> str:
    """Tell why Postgres refused a row, in its own words."""
    facts: dict[str, Any] = {
        "": getattr(error, "detail", None),
        "column ": getattr(error, "column_name", None),
        "constraint ": getattr(error, "constraint_name", None),
    }
    known = [f"{name}{value}" for name, value in facts.items() if value]
    text = first_line(error)
    return f"{text} ({'; '.join(known)})" if known else text


def in_short(error: BaseException) -> str:
    """Tell why Postgres refused a row, without anything of the row: for logs and conditions.

    Only of constraints is it known that the message holds no value.
    """
    if sqlstate(error)[:2] == "23":
        return first_line(error)
    column = getattr(error, "column_name", None)
    return type(error).__name__ + (f" (column {column})" if column else "")


def first_line(error: BaseException) -> str:
    """Return an error's first line, or its name."""
    return str(error).partition("\n")[0] or type(error).__name__
