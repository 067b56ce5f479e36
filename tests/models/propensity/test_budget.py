"""A limited budget goes to the people worth most."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ModelError
from connector.models.propensity.budget import COLUMNS, RankBy, allocate


def candidates(*rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_the_worth_of_treating_ranks():
    found = allocate(
        10,
        candidates(
            ("p_1", "churn", 0.9, 10.0, 5.0),  # worth 4
            ("p_2", "new", 0.5, 100.0, 5.0),  # worth 45
            ("p_3", "new", 0.1, 10.0, 5.0),  # a loss
            ("p_4", "churn", 0.8, 10.0, 5.0),  # worth 3
        ),
    )
    assert list(found.chosen["profile_id"]) == ["p_2", "p_1"]
    assert (found.spent, found.worth, found.n_left_out) == (10.0, 49.0, 1)


def test_returns_rank_differently_where_costs_differ():
    rows = candidates(
        ("p_1", "a", 1.0, 30.0, 20.0), *((f"p_{i}", "a", 1.0, 8.0, 4.0) for i in range(2, 7))
    )
    by_worth, by_return = (allocate(20, rows, rank_by=by) for by in RankBy)
    assert (by_worth.worth, by_return.worth) == (10.0, 20.0)


def test_somebody_in_two_segments_is_treated_once_where_it_is_worth_more():
    found = allocate(99, candidates(("p_1", "a", 0.5, 10.0, 1.0), ("p_1", "b", 0.5, 20.0, 1.0)))
    assert found.chosen[["profile_id", "segment"]].to_numpy().tolist() == [["p_1", "b"]]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([1.0, 2.0]), st.sampled_from([0.1, 0.3]))
    ),
    st.floats(0, 5),
    st.randoms(use_true_random=False),
)
def test_it_is_the_same_in_any_order_and_never_over_budget(rows, budget, random):
    table = candidates(*((f"p_{i}", "s", 0.5, v, c) for i, v, c in rows))
    table = table.drop_duplicates("profile_id")
    order = list(range(len(table)))
    random.shuffle(order)
    one, other = allocate(budget, table), allocate(budget, table.iloc[order])
    pd.testing.assert_frame_equal(one.chosen, other.chosen)
    assert one.spent <= budget + 1e-6
    assert one.spent == pytest.approx(one.chosen["cost"].sum())
    assert one.n_left_out + len(one.chosen) == len(table)


@pytest.mark.parametrize(
    "row", [("p", "s", 1.1, 1.0, 1.0), ("p", "s", 0.5, np.nan, 1.0), ("p", "s", 0.5, 1.0, -1.0)]
)
def test_impossible_candidates_raise(row):
    with pytest.raises(ModelError, match="0 or more"):
        allocate(1, candidates(row))
    with pytest.raises(ModelError, match="lack cost"):
        allocate(1, candidates().drop(columns="cost"))
    with pytest.raises(ModelError, match="budget"):
        allocate(-1, candidates())
