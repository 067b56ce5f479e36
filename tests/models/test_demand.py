"""Demand by category: against a sum written out person by person, and a simulated world."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from connector.errors import InsufficientDataError, ModelError
from connector.models.demand import Buyers, Window, backtest, expect

BASKETS = pd.DataFrame(
    [
        ("a", 1, "pans"), ("a", 1, "seeds"), ("a", 5, "pans"), ("a", 5, "pans"), ("b", 3, "seeds"),
    ],
    columns=["profile_id", "day", "category"],
)  # fmt: skip
MEMBERS = pd.DataFrame(
    [("a", "best"), ("b", "new"), ("c", "new"), ("stranger", "new")],
    columns=["profile_id", "segment"],
)


def buyers() -> Buyers:
    index = pd.Index(["a", "b", "c"], name="profile_id")
    return Buyers(pd.Series([2.0, 1.0, 1.0], index), pd.Series([1.5, 0.4, 0.2], index))


def by_hand(people: str, category: str, k: float) -> float:
    """Expected orders times (own orders with the category + k x everybody's share) / (own + k)."""
    own = {("a", "pans"): 2, ("a", "seeds"): 1, ("b", "seeds"): 1}
    orders, expected = {"a": 2, "b": 1, "c": 1}, {"a": 1.5, "b": 0.4, "c": 0.2}
    everybody = {"pans": 2 / 4, "seeds": 2 / 4}
    return sum(
        expected[p] * (own.get((p, category), 0) + k * everybody[category]) / (orders[p] + k)
        for p in people
    )


@pytest.mark.parametrize("k", [0.0, 5.0, 1e9])
def test_each_number_is_the_sum_over_people(k):
    table = expect(buyers(), BASKETS, MEMBERS, mix_orders=k)
    for segment, people in ((None, "abc"), ("best", "a"), ("new", "bc")):
        mine = table[table["segment"].isna() if segment is None else table["segment"] == segment]
        assert (mine["people"] == len(people)).all()
        whole = mine[mine["category"].isna()]["expected_orders"]
        assert whole.tolist() == pytest.approx(
            [sum({"a": 1.5, "b": 0.4, "c": 0.2}[p] for p in people)]
        )
        found = mine.dropna(subset="category").set_index("category")["expected_orders"]
        assert found["pans"] == pytest.approx(by_hand(people, "pans", k))
        assert found["seeds"] == pytest.approx(by_hand(people, "seeds", k))


def test_segments_that_part_everybody_add_up_and_rows_may_come_in_any_order():
    table = expect(buyers(), BASKETS, MEMBERS)
    whole = table[table["segment"].isna()].set_index("category", drop=False)["expected_orders"]
    parts = table.dropna(subset="segment").groupby("category", dropna=False)["expected_orders"]
    assert parts.sum().sort_values().tolist() == pytest.approx(whole.sort_values().tolist())
    again = expect(buyers(), BASKETS.iloc[::-1], MEMBERS.iloc[::-1])
    pd.testing.assert_frame_equal(table, again)


def test_a_segment_of_nobody_who_bought_expects_nothing():
    strangers = pd.DataFrame({"profile_id": ["x", "y"], "segment": ["new", "new"]})
    table = expect(buyers(), BASKETS, strangers).dropna(subset="segment")
    assert (table["people"] == 0).all()
    assert (table["expected_orders"] == 0).all()


def simulated(seed: int = 4, n: int = 1_500):
    """People who buy at constant rates of their own, half of it out of one favourite category."""
    rng = np.random.default_rng(seed)
    rates, names = rng.gamma(2.0, 0.01, n), np.array(["pans", "seeds", "lamps"])
    rows = []
    for i in range(n):
        days = np.unique(rng.integers(0, 600, rng.poisson(rates[i] * 600)))
        liked = rng.random(days.size) < 0.5
        for day, like in zip(days, liked, strict=True):
            rows.append((f"p{i}", int(day), names[i % 3] if like else names[rng.integers(3)]))
    frame = pd.DataFrame(rows, columns=["profile_id", "day", "category"])
    return frame, pd.Series(rates, [f"p{i}" for i in range(n)])


def test_backtest_counts_what_happened_and_the_truth_does_well():
    baskets, rates = simulated()
    windows = [Window(299, 100), Window(399, 200)]

    def known(window: Window) -> Buyers:
        seen = baskets[baskets["day"] <= window.end_day].groupby("profile_id")["day"].nunique()
        # An order is a day: of a Poisson rate, days with one or more.
        return Buyers(seen.astype(float), (1 - np.exp(-rates.reindex(seen.index))) * window.n_days)

    found = backtest(baskets, baskets[["profile_id", "day"]], windows, known)
    rows = found.rows
    for window in windows:
        people = set(baskets[baskets["day"] <= window.end_day]["profile_id"])
        for column, after in (("actual", 0), ("last_period", -window.n_days)):
            low, high = window.end_day + after, window.end_day + after + window.n_days
            held = {
                (r.profile_id, r.day, r.category)
                for r in baskets.itertuples()
                if low < r.day <= high and r.profile_id in people
            }
            mine = rows[rows["end_day"] == window.end_day].set_index("category")[column]
            for category in ("pans", "seeds", "lamps"):
                assert mine[category] == sum(one[2] == category for one in held)
            assert mine[mine.index.isna()].tolist() == [len({one[:2] for one in held})]
    assert abs(found.total_error()) < 0.03
    assert found.wape() < 0.04
    # The errors by category are those of the rows, by another road.
    pans = rows[rows["category"] == "pans"]
    told = found.errors.set_index("category").loc["pans"]
    assert told["wape"] == pytest.approx(
        sum(abs(e - a) for e, a in zip(pans["expected"], pans["actual"], strict=True))
        / sum(pans["actual"])
    )
    assert found.wape("last_period") == pytest.approx(
        np.average(found.errors["wape_last_period"], weights=found.errors["actual"])
    )


def test_the_mix_of_a_person_helps_beside_everybodys_mix():
    """Segments by favourite: shrinking gently must come nearer than everybody's mix."""
    baskets, rates = simulated(n=900)
    then = baskets[baskets["day"] < 400]
    seen = then.groupby("profile_id")["day"].nunique().astype(float)
    known = Buyers(seen, (1 - np.exp(-rates.reindex(seen.index))) * 200)
    favourites = pd.DataFrame(
        {"profile_id": seen.index, "segment": [f"s{int(i[1:]) % 3}" for i in seen.index]}
    )
    came = baskets[baskets["day"] >= 400].merge(favourites, on="profile_id")
    actual = came.groupby(["segment", "category"]).size()

    def off(k: float) -> float:
        table = expect(known, then, favourites, mix_orders=k).dropna()
        told = table.set_index(["segment", "category"])["expected_orders"]
        return float((told.reindex(actual.index) - actual).abs().sum() / actual.sum())

    assert off(5.0) < 0.5 * off(1e9)


def test_nothing_to_go_by_is_said():
    with pytest.raises(InsufficientDataError, match="no order holds a category"):
        backtest(BASKETS.iloc[:0], BASKETS, [Window(1, 1)], lambda _w: buyers())
    with pytest.raises(ModelError, match="same people"):
        Buyers(pd.Series([1.0], ["a"]), pd.Series([1.0], ["b"]))
    with pytest.raises(ModelError, match="0 or more"):
        Buyers(pd.Series([1.0], ["a"]), pd.Series([np.nan], ["a"]))
