"""Bands of a feature: quarters by numpy's quantiles, equal values together, unknown apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import ModelError
from connector.lift.bands import quantile_bands


def test_quarters_are_those_of_pandas() -> None:
    values = np.random.default_rng(1).lognormal(3, 1, 1_000)
    found = pd.Series(quantile_bands(values.tolist()))
    codes = pd.qcut(values, 4, labels=False)
    assert (found.str[0].astype(int) - 1 == codes).all()
    for _, inside in pd.Series(values).groupby(found):
        assert len(inside) == 250


@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float)), max_size=60),
    st.integers(2, 6),
)
def test_equal_values_are_together_in_order_and_unknown_ones_apart(
    values: list[float | None], n_bands: int
) -> None:
    found = quantile_bands(values, n_bands=n_bands)
    assert [one is None for one in found] == [one is None for one in values]
    known = sorted(
        (value, int(str(band).partition(" ")[0]))
        for value, band in zip(values, found, strict=True)
        if value is not None
    )
    # The band rises with the value, starts at 1, leaves none out, and is one for each value.
    assert [band for _, band in known] == sorted(band for _, band in known)
    assert {band for _, band in known} == set(range(1, len({b for _, b in known}) + 1))
    assert len(dict(known)) == len(set(known))


def test_bands_are_named_by_what_is_in_them() -> None:
    assert quantile_bands([0, 0, 0, 0, 0, 3, 7, None]) == [
        *["1 of 2: 0"] * 5, *["2 of 2: 3 to 7"] * 2, None,
    ]  # fmt: skip
    assert quantile_bands([5.0, 5.0]) == ["1 of 1: 5"] * 2
    assert quantile_bands([None, float("nan")]) == [None, None]
    assert quantile_bands([1000.4, 2500.0], n_bands=2) == ["1 of 2: 1,000", "2 of 2: 2,500"]
    with pytest.raises(ModelError, match="parts nobody"):
        quantile_bands([1.0], n_bands=1)
