"""What errors of Postgres mean."""

import asyncpg
import pytest
from asyncpg import exceptions

from sluice_workers.write.refusal import Kind, failure, kind, may_pass_later, refusal


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
