"""Numbers as text."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.report import format as shown
from connector.report.lift import Estimate


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def number(text: str) -> float:
    return float(plain(text).replace(",", "").replace("%", ""))


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"), (1.0, "100 %"), (0.05, "5 %"), (0.038, "3.8 %"), (0.27183, "27 %"),
        (0.0001, "< 0.1 %"), (0.998, "99.8 %"), (0.99999, "> 99.9 %"), (-0.25, "-25 %"),
    ],
)  # fmt: skip
def test_shares(share, text):
    assert plain(shown.percent(share)) == text


@given(st.floats(min_value=1e-9, max_value=1 - 1e-9))
def test_a_part_never_reads_as_nothing_or_everything(share):
    assert plain(shown.percent(share)) not in {"0 %", "0.0 %", "100 %", "100.0 %"}


@pytest.mark.parametrize(
    ("amount", "text"),
    [(4213.4, "4,213 EUR"), (63.2, "63.20 EUR"), (0, "0 EUR"), (-1204, "-1,204 EUR"), (None, "–")],
)
def test_money(amount, text):
    assert plain(shown.money(amount, "EUR")) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.42, "p = 0.42"), (1e-12, "p < 0.001"), (1.0, "p = 1.0"), (None, "too few people to test")],
)
def test_p_values(p, text):
    assert plain(shown.p_value(p)) == text


def test_times_are_those_of_the_project():
    summer = datetime(2026, 4, 5, 22, 30, tzinfo=UTC)
    assert plain(shown.moment(summer, "Europe/Berlin")) == "6 April 2026, 00:30"
    assert plain(shown.local_day(summer, "America/New_York")) == "5 April 2026"


def test_a_total_is_rounded_by_the_width_of_its_interval():
    said = shown.spoken(Estimate(4213.0, 1124.0, 7301.0, 0.95), unit="EUR")
    assert plain(str(said)) == "+4,200 EUR (95 % interval +1,100 to +7,300)"
    assert said.size == "4,200"


def test_a_bound_that_is_not_zero_never_reads_as_zero():
    said = shown.spoken(Estimate(4213.0, 3.0, 8400.0, 0.95), unit="EUR")
    assert plain(said.low) == "+3"


def test_an_estimate_near_zero_is_given_two_more_digits():
    said = shown.spoken(Estimate(112.0, -17_210.0, 13_040.0, 0.95), unit="EUR")
    assert plain(str(said)) == "+100 EUR (95 % interval -17,200 to +13,000)"
    assert shown.spoken(Estimate(1.0, -17_210.0, 13_040.0, 0.95), unit="EUR").estimate == "0"


finite = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


@given(st.tuples(finite, finite, finite).map(sorted))
def test_rounding_keeps_the_order_and_the_side_of_zero(numbers):
    low, estimate, high = numbers
    value = Estimate(estimate, low, high, 0.95)
    for said in (shown.spoken(value, unit="EUR"), shown.spoken_per_person(value, unit="EUR")):
        bounds = [number(said.low), number(said.estimate), number(said.high)]
        assert bounds == sorted(bounds)
    said = shown.spoken(value, unit="EUR")
    for bound, text in ((low, said.low), (high, said.high)):
        if abs(bound) > 1e-6:
            assert math.copysign(1, number(text)) == math.copysign(1, bound)
            assert number(text) != 0


def test_differences_read_as_in_the_verdicts_own_sentence():
    from connector.lift.intervals import Interval
    from connector.lift.verdict import Unit

    for numbers in ((1.767, 0.708, 2.734), (0.412, 0.0503, 0.77), (-12.3, -20.0, -4.1)):
        sentence = Unit("EUR per person").say(Interval(*numbers, 0.95))
        said = shown.spoken_per_person(Estimate(*numbers, 0.95), unit="EUR")
        assert sentence.startswith(plain(said.estimate) + " ")
        assert f"{plain(said.low)} to {plain(said.high)}" in sentence
