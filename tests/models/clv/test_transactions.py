"""Raw transactions to histories, against a slow and plain reading of the same rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.transactions import Transactions, observe, outcome
from tests.models.clv.cdnow import cdnow

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 8), st.sampled_from([10, 4, 1, 0, -1, -4, -12])
    ),
    min_size=1,
    max_size=30,
)


def plainly(rows, end_day):
    """The rules of the module, one row after the other."""
    found, unmatched = {}, 0
    for customer in sorted({row[0] for row in rows}):
        days: dict[int, list[int]] = {}
        for who, day, value in rows:
            if who == customer and day <= end_day:
                days.setdefault(day, []).append(value)
        purchases: list[list[float]] = []
        for day in sorted(days):
            gained = sum(v for v in days[day] if v >= 0)
            owed = -sum(v for v in days[day] if v < 0)
            bought = any(v >= 0 for v in days[day])
            if bought and (owed == 0 or gained > owed):
                purchases.append([day, gained - owed])
                continue
            owed -= gained
            while owed > 0 and purchases:
                purchases[-1][1] -= owed
                owed = max(-purchases[-1][1], 0)
                if purchases[-1][1] <= 0:
                    purchases.pop()
            unmatched += owed > 0
        if purchases:
            first, last = purchases[0][0], purchases[-1][0]
            values = [value for _, value in purchases[1:]]
            mean = sum(values) / len(values) if values else None
            found[customer] = (len(values), last - first, end_day - first, mean, purchases[0][1])
    return found, unmatched


@given(ROWS, st.integers(3, 8))
@settings(max_examples=200, deadline=None)
def test_histories_are_those_of_a_plain_reading(rows, end_day):
    expected, _ = plainly(rows, end_day)
    who, day, value = zip(*rows, strict=True)
    transactions = Transactions.of(np.array(who), np.array(day), value)
    if not expected:
        with pytest.raises(InsufficientDataError):
            observe(transactions, end_day)
        return
    customers = observe(transactions, end_day)
    h = customers.histories
    found = {
        str(transactions.ids[index]): (
            h.repeats[i],
            h.last_age_days[i],
            h.age_days[i],
            None if np.isnan(customers.mean_value[i]) else pytest.approx(customers.mean_value[i]),
            pytest.approx(customers.first_value[i]),
        )
        for i, index in enumerate(customers.index)
    }
    assert found == expected


def test_a_return_undoes_what_it_uses_up_and_no_later_purchase():
    transactions = Transactions.of(
        ["a", "a", "a", "a", "b"], [1, 5, 7, 9, 3], [100.0, 10.0, -30.0, 20.0, -5.0]
    )
    customers = observe(transactions, 10)
    assert customers.histories.repeats.tolist() == [1]
    assert customers.first_value.tolist() == [80]
    assert customers.mean_value.tolist() == [20]
    assert customers.n_unmatched_returns == 1


def test_what_is_sold_at_a_loss_is_a_purchase_where_the_rows_say_so():
    """Margins: a loss of 3 on day 5, and a return on day 9 that takes 8 of the purchase before."""
    transactions = Transactions.of(
        ["a"] * 4, [1, 5, 7, 9], [50.0, -3.0, 20.0, -8.0], [False, False, False, True]
    )
    customers = observe(transactions, 10)
    assert customers.histories.repeats.tolist() == [2]
    assert customers.first_value.tolist() == [50]
    assert customers.mean_value.tolist() == [(-3 + 12) / 2]
    assert customers.n_unmatched_returns == 0
    later = outcome(transactions, customers, after_day=4, n_days=6)
    assert later.purchases.tolist() == [2]
    assert later.value.tolist() == [9]


def test_what_comes_after_the_end_changes_nothing():
    early = ([("a", 1, 10.0), ("a", 4, 20.0), ("b", 2, 5.0)],)
    late = [("a", 6, -20.0), ("b", 7, 9.0), ("c", 8, 1.0)]
    read = []
    for rows in (early[0], early[0] + late):
        who, day, value = zip(*rows, strict=True)
        customers = observe(Transactions.of(list(who), list(day), list(value)), 5)
        read.append((customers.histories.repeats.tolist(), customers.mean_value[0]))
    assert read[0] == read[1] == ([1, 0], 20.0)


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(3)
    who, day = rng.integers(0, 50, 600), rng.integers(0, 90, 600)
    value = np.round(rng.normal(20, 15, 600), 2)
    shuffled = rng.permutation(600)
    a = observe(Transactions.of(who, day, value), 80)
    second = Transactions.of(who[shuffled], day[shuffled], value[shuffled])
    b = observe(second, 80)
    ids_a = Transactions.of(who, day, value).ids[a.index]
    ids_b = second.ids[b.index]
    order_a, order_b = np.argsort(ids_a), np.argsort(ids_b)
    assert np.array_equal(a.histories.repeats[order_a], b.histories.repeats[order_b])
    assert a.mean_value[order_a] == pytest.approx(b.mean_value[order_b], nan_ok=True)


def test_an_outcome_counts_the_window_and_discounts_it():
    transactions = Transactions.of(
        ["a", "b", "a", "a", "a", "c", "b"],
        [1, 2, 10, 10, 12, 12, 40],
        [5.0, 5.0, 30.0, 10.0, -15.0, 99.0, 7.0],
    )
    customers = observe(transactions, 9)
    after = outcome(transactions, customers, after_day=9, n_days=10)
    assert after.purchases.tolist() == [1, 0]
    assert after.value.tolist() == [25, 0]
    discounted = outcome(transactions, customers, after_day=9, n_days=40, annual_discount_rate=0.21)
    expected = 40 * 1.21 ** (-1 / 365.25) - 15 * 1.21 ** (-3 / 365.25)
    assert discounted.value == pytest.approx([expected, 7 * 1.21 ** (-31 / 365.25)])


@pytest.mark.parametrize(
    ("customer", "day", "value", "message"),
    [
        (["a", None], [1, 2], [1.0, 2.0], r"1 of 2 transactions have no customer \(positions 1\)"),
        (["a", "b"], [1, 2], [np.nan, 2.0], r"have no finite value \(positions 0\)"),
        (["a"], np.array(["NaT"], dtype="datetime64[s]"), [1.0], "have no date"),
        (["a"], [1.5], [1.0], "whole numbers or dates"),
        (["a"], [1, 2], [1.0], "one length"),
    ],
)
def test_missing_values_are_refused(customer, day, value, message):
    with pytest.raises(ModelError, match=message):
        Transactions.of(np.array(customer, dtype=object), day, value)


@pytest.mark.data
def test_the_cdnow_sample_is_the_published_one():
    sample = cdnow()
    x = sample.histories.repeats
    assert len(sample.customers) == 2357
    assert int((x > 0).sum()) == 946
    assert sample.holdout.purchases.sum() == 1882
    group = np.minimum(x, 7)
    means = [sample.holdout.purchases[group == i].mean() for i in range(8)]
    published = [0.2367, 0.6970, 1.3925, 1.5600, 2.5323, 2.9474, 3.8621, 6.3594]
    assert means == pytest.approx(published, abs=5e-5)
