"""What errors of Postgres mean."""

import asyncpg
import pytest
from asyncpg import exceptions

from sluice_workers.write.refusal import Kind, failure, in_short, kind, may_pass_later, refusal


@pytest.mark.parametrize(
    "error",
    [
        exceptions.CharacterNotInRepertoireError,
        exceptions.NumericValueOutOfRangeError,
        exceptions.StringDataRightTruncationError,
        exceptions.UniqueViolationError,
        exceptions.CheckViolationError,
        exceptions.NotNullViolationError,
        exceptions.ForeignKeyViolationError,
        exceptions.ExclusionViolationError,
        exceptions.CardinalityViolationError,
        exceptions.ProgramLimitExceededError,
        exceptions.RaiseError,
        exceptions.WithCheckOptionViolationError,
        UnicodeEncodeError,
        OverflowError,
    ],
)
def test_a_record_is_at_fault(error: type[Exception]) -> None:
    args = ("utf-8", "\ud800", 0, 1, "surrogates") if error is UnicodeEncodeError else ("text",)
    assert kind(error(*args)) is Kind.RECORD


def raised_in(error: asyncpg.PostgresError, function: str) -> asyncpg.PostgresError:
    error.server_source_function = function
    return error


def test_a_policy_refuses_a_row_and_a_missing_partition_is_the_tables_fault() -> None:
    policy = exceptions.InsufficientPrivilegeError("new row violates row-level security policy")
    assert kind(policy) is Kind.TARGET
    assert kind(raised_in(policy, "ExecWithCheckOptions")) is Kind.RECORD
    missing = exceptions.CheckViolationError("no partition of relation found for row")
    missing.detail = "Partition key of the failing row contains (day) = (2026-01-01)."
    assert kind(raised_in(missing, "ExecPartitionCheckEmitError")) is Kind.RECORD
    assert kind(raised_in(missing, "ExecFindPartition")) is Kind.TARGET
    assert failure(missing).reason == "PartitionMissing"
    assert "(day) = (2026-01-01)" in str(failure(missing))


def test_what_is_told_in_short_quotes_no_row() -> None:
    check = exceptions.CheckViolationError('new row violates check constraint "positive"')
    check.detail = "Failing row contains (secret)."
    check.constraint_name = "positive"
    assert in_short(check) == 'new row violates check constraint "positive"'
    broken = exceptions.InvalidTextRepresentationError('invalid input syntax: "secret"')
    broken.column_name = "age"
    assert in_short(broken) == "InvalidTextRepresentationError (column age)"


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.SerializationError])
def test_nobody_is_at_fault(error: type[Exception]) -> None:
    assert kind(error("text")) is Kind.AGAIN


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.UndefinedTableError, "TableMismatch"),
        (exceptions.UndefinedColumnError, "TableMismatch"),
        (exceptions.InvalidSchemaNameError, "TableMismatch"),
        (exceptions.FeatureNotSupportedError, "TableMismatch"),
        (exceptions.InsufficientPrivilegeError, "PermissionDenied"),
        (exceptions.ReadOnlySQLTransactionError, "ReadOnly"),
        (asyncpg.TargetServerAttributeNotMatched, "ReadOnly"),
        (exceptions.DiskFullError, "DiskFull"),
        (exceptions.OutOfMemoryError, "OutOfResources"),
        (exceptions.TooManyConnectionsError, "TooManyConnections"),
        (exceptions.InvalidPasswordError, "AuthenticationFailed"),
        (exceptions.InvalidCatalogNameError, "DatabaseMissing"),
        (exceptions.QueryCanceledError, "StatementTimeout"),
        (exceptions.AdminShutdownError, "DatabaseUnreachable"),
        (exceptions.CannotConnectNowError, "DatabaseUnreachable"),
        (exceptions.DataCorruptedError, "DatabaseUnreachable"),
        (asyncpg.InterfaceError, "DatabaseUnreachable"),
        (ConnectionResetError, "DatabaseUnreachable"),
        (TimeoutError, "DatabaseUnreachable"),
    ],
)
def test_the_target_is_at_fault(error: type[Exception], reason: str) -> None:
    assert kind(error("its words")) is Kind.TARGET
    found = failure(error("its words"))
    assert found.reason == reason
    assert "its words" in str(found)


def test_what_was_refused_is_told_with_column_and_constraint() -> None:
    error = exceptions.UniqueViolationError("duplicate key value\nmore")
    error.detail = "Key (email)=(a@b) already exists."
    error.constraint_name = "users_email_key"
    assert refusal(error) == (
        "duplicate key value (Key (email)=(a@b) already exists.; constraint users_email_key)"
    )
    assert may_pass_later(error)
    assert not may_pass_later(exceptions.CheckViolationError("x"))
