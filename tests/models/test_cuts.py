"""Cut points against numpy's type-7 quantiles, R's printed ones, and the laws of a fair score."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import InsufficientDataError, ModelError
from connector.models.cuts import Cuts, CutSpec, Method, fit_cuts, quantiles
from connector.warehouse.duckdb import DuckDBWarehouse

POPULATION = "SELECT x.v AS v FROM numbers AS x"

# Miles per gallon of R's data set mtcars.
MTCARS_MPG = [
    *(21, 21, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4),
    *(14.7, 32.4, 30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26, 30.4, 15.8, 19.7, 15, 21.4),
]


def numbers(values):
    warehouse = DuckDBWarehouse()
    data = pa.array([Decimal(str(v)) for v in values], pa.decimal128(18, 2))
    warehouse.load("numbers", pa.table({"v": data}))
    return warehouse


def fitted(values, spec, reverse=False):
    with numbers(values) as warehouse:
        return fit_cuts(warehouse, spec, population=POPULATION, value="v", reverse=reverse)


CENTS = st.decimals(-1000, 1000, places=2)


@given(st.lists(CENTS, min_size=1, max_size=40), st.integers(2, 10))
@settings(max_examples=20, deadline=None)
def test_quantiles_are_numpys(values, bins):
    with numbers(values) as warehouse:
        found = quantiles(warehouse, population=POPULATION, value="v", bins=bins)
    shares = [i / bins for i in range(1, bins)]
    assert [float(q) for q in found] == pytest.approx(
        np.quantile([float(v) for v in values], shares), abs=1e-6
    )


def test_an_edge_on_a_value_is_that_value_exactly():
    """In floats 0.1 + 0.2 * (0.7 - 0.1) lands beside the value that it stands for."""
    with numbers(["0.10", "0.22", "0.34", "0.46", "0.58", "0.70"]) as warehouse:
        assert quantiles(warehouse, population=POPULATION, value="v", bins=5) == tuple(
            map(Decimal, ("0.22", "0.34", "0.46", "0.58"))
        )


def test_the_rule_of_rs_rfm_on_its_own_example():
    """``bins(mtcars, mpg, 5)`` in the test suite of R's package rfm."""
    cuts = fitted(MTCARS_MPG, CutSpec(Method.R_RFM))
    assert cuts.edges == tuple(map(Decimal, ("16.2", "18.92", "22", "25.08")))


def test_fixed_edges_begin_their_bin_and_quantiles_end_theirs():
    orders = Cuts(Method.FIXED, tuple(map(Decimal, (2, 3, 4, 6))), reverse=False)
    assert [orders.score(n) for n in (1, 2, 3, 4, 5, 6, 99)] == [1, 2, 3, 4, 4, 5, 5]
    days = Cuts(Method.FIXED, tuple(map(Decimal, (30, 90, 180, 365))), reverse=True)
    assert [days.score(n) for n in (0, 29, 30, 364, 365)] == [5, 5, 4, 2, 1]
    quintiles = fitted(range(1, 11), CutSpec.quantile(5))
    assert [quintiles.score(n) for n in range(1, 11)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


SPECS = st.one_of(
    st.builds(CutSpec.quantile, st.integers(2, 10)),
    st.builds(lambda bins: CutSpec(Method.R_RFM, bins), st.integers(2, 10)),
    st.lists(CENTS, min_size=1, max_size=9, unique=True).map(lambda e: CutSpec.fixed(sorted(e))),
)


@given(st.lists(CENTS, min_size=1, max_size=30), SPECS, st.booleans(), st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_laws_of_a_score(values, spec, reverse, rnd):
    cuts = fitted(values, spec, reverse)
    scores = {v: cuts.score(v) for v in values}
    # Every score is on the scale; a better value never scores lower; the row order is nothing.
    assert set(scores.values()) <= set(range(1, spec.bins + 1))
    ordered = [scores[v] for v in sorted(values, reverse=reverse)]
    assert ordered == sorted(ordered)
    shuffled = list(values)
    rnd.shuffle(shuffled)
    assert fitted(shuffled, spec, reverse) == cuts
    # The SQL says the same as the Python, and empty bins are those that nobody is in.
    with numbers(values) as warehouse:
        rows = warehouse.rows(f"SELECT x.v, {cuts.score_sql('x.v')} AS s FROM numbers AS x")
    assert dict(rows) == scores
    assert set(cuts.empty_bins) == set(range(1, spec.bins + 1)) - set(scores.values())


def test_ties_leave_bins_empty_instead_of_being_torn_apart():
    cuts = fitted([1] * 7 + [2, 3, 9], CutSpec.quantile(5))
    assert cuts.edges == tuple(map(Decimal, ("1", "1", "1", "2.2")))
    assert cuts.empty_bins == (2, 3)
    assert cuts.score(1) == 1


def test_cuts_survive_json():
    cuts = fitted(MTCARS_MPG, CutSpec.quantile(3), reverse=True)
    assert Cuts.from_dict(cuts.to_dict()) == cuts


def test_nobody_has_no_quantiles_but_fixed_edges():
    with pytest.raises(InsufficientDataError):
        fitted([], CutSpec.quantile())
    assert fitted([], CutSpec.fixed([1, 2])).empty_bins == (1, 2, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CutSpec.fixed([]),
        lambda: CutSpec.fixed([3, 2]),
        lambda: CutSpec.fixed([2, 2]),
        lambda: CutSpec.quantile(1),
        lambda: CutSpec.quantile(11),
        lambda: CutSpec(Method.QUANTILE, edges=(Decimal(1),)),
    ],
)
def test_impossible_cuts_are_refused(make):
    with pytest.raises(ModelError):
        make()
