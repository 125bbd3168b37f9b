"""Types as a job spells them, and which holds the values of which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.column_type import ColumnType, TypeParts, holds, parts

BASES = (
    "text", "varchar", "varchar(9)", "char(3)", "boolean", "smallint", "integer", "bigint", "real",
    "double precision", "numeric", "numeric(10,2)", "numeric(12,4)", "date", "time", "timestamp(3)",
    "timestamp", "timestamptz", "timestamptz(0)", "interval", "uuid", "json", "jsonb", "bytea",
    "inet", "cidr", "public.mood",
)  # fmt: skip
TYPES = st.sampled_from([*BASES, *(f"{base}[]" for base in BASES)])


@given(TYPES)
def test_a_type_taken_apart_is_spelled_as_it_was(text: str) -> None:
    assert str(ColumnType(text).parts) == text


def test_a_scale_that_is_not_given_is_zero() -> None:
    assert ColumnType("numeric(10)").parts == parts("numeric(10,0)")


@pytest.mark.parametrize(
    "text",
    ["string", "varchar(0)", "varchar(x)", "text[][]", "int", "mood", "a.b.c", "Public-x.mood",
     "timestamptz(7)", "numeric(10, 2)", "text; drop table t", "x" * 200, "char", ""],
)  # fmt: skip
def test_what_is_no_type_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be text, varchar, .*; found"):
        ColumnType(text)


@given(TYPES)
def test_every_type_holds_itself(text: str) -> None:
    assert holds(parts(text), parts(text))


@given(TYPES, TYPES, TYPES)
def test_what_holds_a_type_holds_what_that_holds(a: str, b: str, c: str) -> None:
    if holds(parts(a), parts(b)) and holds(parts(b), parts(c)):
        assert holds(parts(a), parts(c))


@given(TYPES, TYPES)
def test_two_types_that_hold_each_other_are_the_same_to_values(a: str, b: str) -> None:
    if a != b and holds(parts(a), parts(b)) and holds(parts(b), parts(a)):
        assert {parts(a).base, parts(b).base} == {"text", "varchar"}


@pytest.mark.parametrize(
    ("column", "values", "held"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("numeric", "bigint", True),
        ("numeric(10,2)", "integer", False),
        ("numeric(12,2)", "integer", True),
        ("numeric(12,2)", "numeric(10,2)", True),
        ("numeric(12,4)", "numeric(10,2)", True),
        ("numeric(10,2)", "numeric", False),
        ("numeric", "numeric(10,2)", True),
        ("numeric", "double precision", False),
        ("double precision", "integer", True),
        ("double precision", "bigint", False),
        ("real", "integer", False),
        ("text", "varchar(9)", True),
        ("varchar(9)", "text", False),
        ("varchar(9)", "char(3)", True),
        ("timestamptz", "timestamptz(3)", True),
        ("timestamptz(3)", "timestamptz", False),
        ("timestamptz", "timestamp", False),
        ("timestamp", "date", True),
        ("json", "jsonb", True),
        ("jsonb", "json", False),
        ("bigint[]", "integer[]", True),
        ("bigint[]", "integer", False),
        ("public.mood", "public.mood", True),
        ("public.mood", "text", False),
    ],
)
def test_what_a_column_holds(column: str, values: str, held: bool) -> None:
    assert holds(parts(column), parts(values)) is held


def test_a_type_that_no_job_can_name_is_kept_as_it_is() -> None:
    assert parts("bit varying(3)").base == "bit varying"
    assert parts("interval day to second(3)") == TypeParts("interval day to second", (3,))
