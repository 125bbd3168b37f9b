"""Rates over about the last half minute."""

from sluice_workers.meter import Meter


def test_a_rate_is_over_the_time_that_has_passed() -> None:
    meter = Meter(100.0)
    meter.add(101.0, 50)
    meter.add(109.5, 50)
    assert meter.rate(110.0) == 10.0


def test_what_is_long_ago_does_not_count() -> None:
    meter = Meter(0.0)
    meter.add(1.0, 1000)
    meter.add(100.0, 30, 60.0)
    assert meter.rate(101.0) == 1.0
    assert meter.mean(101.0) == 2.0
    assert meter.rate(200.0) == 0.0
    assert meter.mean(200.0) is None
