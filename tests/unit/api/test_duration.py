"""Durations and quantities, as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_api.duration import Duration
from sluice_api.quantity import Quantity


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("1h30m", 5400), ("7d", 604800), ("0s", 0)]
)
def test_a_duration_counts_its_seconds(text: str, seconds: float) -> None:
    assert Duration(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "1.5s", "10 s", "-1s", "10S", "1w"])
def test_anything_else_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as") as caught:
        Duration(text)
    assert repr(text) in str(caught.value)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_parts_add_up(minutes: int, seconds: int) -> None:
    assert Duration(f"{minutes}m{seconds}s").seconds == minutes * 60 + seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", "0.25"), ("2", "2"), ("1.5", "1.5"), ("512Mi", 2**29), ("1G", 10**9), ("1e3", 1000)],
)
def test_a_quantity_is_read_in_its_base_unit(text: str, number: str | int) -> None:
    assert Quantity(text).number == Decimal(number)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "one"])
def test_a_wrong_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a quantity such as"):
        Quantity(text)
