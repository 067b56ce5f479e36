"""Demand by category: against a sum written out person by person, and a simulated world."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from connector.errors import InsufficientDataError, ModelError
from connector.models.demand import Buyers, expect
from connector.models.demand_backtest import DemandBacktest, Window, backtest, with_errors

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


SHARES = {"pans": 0.5, "seeds": 0.3, "lamps": 0.05}


def futures(rng: np.random.Generator, n: int = 120, factor_variance: float = 0.0):
    """People whose rates and tastes are drawn as the rule holds them to be, and what they buy next.

    Rates are gamma (shape 2, 100 days), so that after x orders in 300 days those of the next 150
    are negative binomial; each order holds a category with a chance of the person's own, beta with
    the weight of five orders. All futures of one call share a factor of mean 1.
    """
    ids = pd.Index([f"p{i}" for i in range(n)], name="profile_id")
    rate = rng.gamma(2.0, 1 / 100, n)
    orders = rng.poisson(rate * 300) + 1
    factor = rng.gamma(1 / factor_variance, factor_variance) if factor_variance else 1.0
    came = rng.poisson(rate * 150 * factor)
    rows, actual = [], {}
    for category, share in SHARES.items():
        own = rng.beta(5 * share, 5 * (1 - share), n)
        # A day for each order: who held what on it is all that counts.
        for i, k in enumerate(rng.binomial(orders, own)):
            rows += [(ids[i], day, category) for day in range(k)]
        actual[category] = rng.binomial(came, own)
    actual[None] = came
    shape, scale = 2.0 + orders - 1, 150 / 400
    buyers = Buyers(
        pd.Series(orders.astype(float), ids),
        pd.Series(shape * scale, ids),
        pd.Series(shape * (shape + 1) * scale**2, ids),
    )
    members = pd.DataFrame({"profile_id": ids, "segment": np.where(orders >= 6, "regular", "rare")})
    return buyers, pd.DataFrame(rows, columns=["profile_id", "day", "category"]), members, actual


@pytest.mark.parametrize("factor_variance", [0.0, 0.04])
def test_four_in_five_numbers_fall_into_the_range(factor_variance):
    rng = np.random.default_rng(11)
    inside, below = [], []
    for _ in range(150 if factor_variance else 50):
        buyers, baskets, members, actual = futures(rng, factor_variance=factor_variance)
        table = expect(buyers, baskets, members, model_variance=factor_variance)
        of = members.set_index("profile_id")["segment"]
        for row in table.itertuples():
            mine = np.ones(len(of), bool) if pd.isna(row.segment) else of == row.segment
            category = None if pd.isna(row.category) else row.category
            n = actual[category][np.asarray(mine)].sum()
            inside.append(row.low_80 <= n <= row.high_80)
            below.append(n < row.low_80)
    # Whole numbers make the range a little wider than four in five.
    assert 0.74 < np.mean(inside) < 0.88
    assert 0.05 < np.mean(below) < 0.15


def test_the_variance_of_the_model_is_found_again():
    rng = np.random.default_rng(2)
    expected, variance, factors = 400.0, 600.0, rng.gamma(1 / 0.05, 0.05, 4_000)
    actual = rng.normal(expected * factors, np.sqrt(variance))
    rows = pd.DataFrame({"actual": actual, "expected": expected, "variance": variance})
    rows = rows.assign(segment=None, category="pans", end_day=1, n_days=9, last_period=0.0)
    assert DemandBacktest(rows).model_variance == pytest.approx(0.05, rel=0.08)
    sure = rows.assign(actual=expected)
    assert DemandBacktest(sure).model_variance == 0.0


def test_errors_of_segments_are_those_of_who_was_in_them_when_the_window_began():
    baskets, rates = simulated(n=600)
    window = Window(399, 200)
    before = baskets[baskets["day"] <= 399]
    seen = before.groupby("profile_id")["day"].nunique().astype(float)
    then = pd.DataFrame(
        {"profile_id": seen.index, "segment": np.where(seen > 6, "regular", "rare")}
    )
    found = backtest(
        baskets,
        baskets[["profile_id", "day"]],
        [window],
        lambda _w: Buyers(seen, (1 - np.exp(-rates.reindex(seen.index))) * 200),
        lambda _w: then,
    )
    came = baskets[baskets["day"].between(400, 599)].merge(then, on="profile_id")
    rows = found.rows.set_index(["segment", "category"])
    for (segment, category), n in came.groupby(["segment", "category"]).size().items():
        row = rows.loc[(segment, category)]
        assert row["actual"] == n
        error = found.by_part.set_index(["segment", "category"]).loc[(segment, category), "wape"]
        assert error == pytest.approx(abs(row["expected"] - n) / n)
    both = found.by_part[found.by_part["segment"].notna() & found.by_part["category"].isna()]
    assert (
        both["actual"].sum()
        == found.rows[found.rows["segment"].isna() & found.rows["category"].isna()]["actual"].sum()
    )
    shown = with_errors(expect(Buyers(seen, seen * 0 + 1), before, then), found)
    assert shown["wape"].notna().all()
    assert with_errors(shown.drop(columns=["wape", "wape_last_period"]), None)["wape"].isna().all()
