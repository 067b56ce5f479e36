"""Numbers as text: one place, and no number that reads as another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import numbers


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.052, "0.05 EUR"), (0.004, "< 0.01 EUR"), (0.0, "0 EUR"), (9.5, "9.50 EUR"),
        (-9.5, "-9.50 EUR"), (99.996, "100 EUR"), (1234.4, "1,234 EUR"), (None, "\u2013"),
    ],
)  # fmt: skip
def test_money(amount, text):
    assert plain(numbers.money(amount, "EUR")) == text


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1 property"), (0, "0 properties"), (2000, "2,000 properties")]
)
def test_one_is_no_plural(n, text):
    assert numbers.several(n, "property", "properties") == text
    assert numbers.several(2, "error") == "2 errors"


@pytest.mark.parametrize(
    ("share", "text"), [(0.998, "+100 %"), (1.034, "+103 %"), (0.084, "+8.4 %"), (-0.2, "-20 %")]
)
def test_an_effect_is_no_share(share, text):
    assert plain(numbers.gain(share)) == text


@given(st.floats(min_value=0, max_value=1e6), st.integers(min_value=1, max_value=10_000))
def test_what_falls_short_never_reads_as_enough(n, threshold):
    shown = int(numbers.short_of(n).replace(",", ""))
    assert (shown >= threshold) == (n >= threshold)


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_bound_keeps_its_side_of_zero(low, high):
    digits = numbers.difference_digits(low, high)
    assert 2 <= digits <= numbers.FINEST_DIGITS
    for bound in (low, high):
        if abs(bound) > 0.5 * 10**-numbers.FINEST_DIGITS:
            assert float(f"{bound:.{digits}f}") != 0


def test_money_has_two_digits_wherever_they_do():
    assert numbers.difference_digits(0.011, 0.093) == 2
    assert numbers.difference_digits(-1.0, 2.0) == 2
    assert numbers.difference_digits(0.0004, 1.0) == 4


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (480.4, "480"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (7_249, "7.2k"),
        (55_976, "56k"),
        (999_600, "1.0m"),
        (1_439_964, "1.4m"),
        (-2_500, "\u22122.5k"),
        (3.2e9, "3.2bn"),
    ],
)
def test_a_number_in_few_letters(n, text):
    assert numbers.short(n) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (19.0, 196.4, "19 to 196 EUR"),
        (1.2, 7.949, "1.20 to 7.95 EUR"),
        (-5.0, 1_250.0, "\u22125 to 1,250 EUR"),
    ],
)
def test_a_range_of_money_has_the_same_digits_at_both_ends(low, high, text):
    assert numbers.money_range(low, high, "EUR").replace("\u00a0", " ") == text
