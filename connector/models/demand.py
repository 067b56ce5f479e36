"""Orders to expect of each segment in each category, and how wrong such numbers were in the past.

**The rule.** A person's orders in a category are the person's expected orders (from a model of
repeat purchases) times the share of their orders that hold it. That share is the person's own,
shrunk towards everybody's as if everybody's had been seen in :data:`MIX_ORDERS` orders of theirs:
(n_ic + k m_c) / (n_i + k). Somebody with one order is thus told mostly by all, a regular by their
own baskets. An order that holds two categories counts in both, so categories add up to more than
the orders; these are a row of their own.

Only people who have bought are in it: nobody knows whom the next campaign brings. An order is a day
on which somebody bought, as in the models of repeat purchases.

**The backtest** predicts past windows from what was known before them, and holds that against what
the same people bought, beside the rule that everybody uses: as many as in the last period of equal
length. Errors are absolute, as a share of what happened (WAPE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connector.errors import InsufficientDataError, ModelError

MIX_ORDERS = 5.0
"""So many orders of a person weigh as much as everybody's mix."""


@dataclass(frozen=True, slots=True)
class Buyers:
    """Everybody who had bought by a day; index ``profile_id``.

    Attributes:
        orders: Orders so far.
        expected: Orders to expect in the horizon.
    """

    orders: pd.Series
    expected: pd.Series

    def __post_init__(self) -> None:
        if not self.orders.index.equals(self.expected.index) or not self.orders.index.is_unique:
            raise ModelError("Orders so far and expected orders must be of the same people.")
        if not np.isfinite(self.expected).all() or (self.expected < 0).any():
            raise ModelError("Expected orders must be known, and 0 or more.")


@dataclass(frozen=True, slots=True)
class Window:
    """Days to predict from what is known before them.

    Attributes:
        end_day: The last day that is known.
        n_days: Days after it that are predicted.
    """

    end_day: int
    n_days: int


@dataclass(frozen=True, slots=True)
class DemandBacktest:
    """Predictions of the past beside what happened.

    Attributes:
        rows: One for each window and category, and one without a category for all orders:
            ``end_day``, ``n_days``, ``category``, ``actual``, ``expected``, ``last_period``.
    """

    rows: pd.DataFrame

    @property
    def errors(self) -> pd.DataFrame:
        """Share of what happened that each rule was off by, over all windows.

        One row for each category, busiest first: ``category``, ``actual``, ``wape``,
        ``wape_last_period``; NaN where nothing happened.
        """
        parts = self.rows[self.rows["category"].notna()]
        off = parts.assign(
            wape=(parts["expected"] - parts["actual"]).abs(),
            wape_last_period=(parts["last_period"] - parts["actual"]).abs(),
        )
        sums = off.groupby("category")[["actual", "wape", "wape_last_period"]].sum()
        for column in ("wape", "wape_last_period"):
            sums[column] = sums[column] / sums["actual"].where(sums["actual"] > 0)
        return (
            sums.reset_index()
            .sort_values(["actual", "category"], ascending=[False, True])
            .reset_index(drop=True)
        )

    def wape(self, rule: str = "expected") -> float:
        """Absolute errors of all categories and windows over all that happened.

        Args:
            rule: ``expected``, or ``last_period`` for the naive rule.
        """
        parts = self.rows[self.rows["category"].notna()]
        return _over((parts[rule] - parts["actual"]).abs().sum(), parts["actual"].sum())

    def total_error(self, rule: str = "expected") -> float:
        """Orders predicted in all windows over those that came, minus 1."""
        whole = self.rows[self.rows["category"].isna()]
        return _over(whole[rule].sum(), whole["actual"].sum()) - 1.0


def expect(
    buyers: Buyers,
    baskets: pd.DataFrame,
    members: pd.DataFrame,
    *,
    mix_orders: float = MIX_ORDERS,
) -> pd.DataFrame:
    """Orders to expect of each segment in each category.

    Args:
        buyers: Whom to predict.
        baskets: ``profile_id``, ``day``, ``category``: what orders held until the same day.
        members: ``profile_id``, ``segment``; people who have not bought are passed over.
        mix_orders: So many orders of a person weigh as much as everybody's mix.

    Returns:
        ``segment`` (missing: everybody), ``category`` (missing: all orders), ``people`` (buyers of
        the segment), ``expected_orders``; everybody first, then by segment; most orders first.
    """
    held = _held(baskets)
    held = held[held["profile_id"].isin(buyers.orders.index)]
    # An order may be no purchase on balance (all of it came back) and still have held something.
    seen = held.groupby("profile_id")["n"].max().reindex(buyers.orders.index).fillna(0.0)
    orders = np.maximum(buyers.orders.astype("float64"), seen)
    weight = buyers.expected / (orders + mix_orders)
    mix = held.groupby("category")["n"].sum() / orders.sum()
    held = held.assign(share=held["n"].to_numpy() * weight.reindex(held["profile_id"]).to_numpy())

    people: dict[str | None, pd.Index] = {None: buyers.orders.index}
    for segment, mine in members.groupby("segment")["profile_id"]:
        people[str(segment)] = buyers.orders.index.intersection(pd.Index(mine))
    rows: list[tuple[str | None, str | None, int, float]] = []
    for name, index in people.items():
        own = held[held["profile_id"].isin(index)].groupby("category")["share"].sum()
        parts = mix * (mix_orders * float(weight.reindex(index).sum()))
        parts = parts.add(own, fill_value=0.0)
        ranked = sorted(parts.items(), key=lambda item: (-item[1], str(item[0])))
        rows.append((name, None, len(index), float(buyers.expected.reindex(index).sum())))
        rows += [(name, str(category), len(index), float(n)) for category, n in ranked]
    return pd.DataFrame(rows, columns=["segment", "category", "people", "expected_orders"])


def backtest(
    baskets: pd.DataFrame,
    order_days: pd.DataFrame,
    windows: Sequence[Window],
    known: Callable[[Window], Buyers],
) -> DemandBacktest:
    """Predict past windows and hold that against what happened.

    Args:
        baskets: ``profile_id``, ``day``, ``category`` of the whole history.
        order_days: ``profile_id``, ``day``: every day that somebody bought on.
        windows: What to predict.
        known: Who had bought by a window's ``end_day``, told by nothing after it.

    Raises:
        InsufficientDataError: No order holds a category, or there is no window.
    """
    if baskets.empty or not windows:
        raise InsufficientDataError(
            "Demand cannot be tried: no order holds a category.",
            hint="Map tables.order_items and tables.products with a category.",
        )
    found = []
    for window in windows:
        buyers = known(window)
        end, last = window.end_day, window.end_day + window.n_days
        before = baskets[baskets["day"] <= end]
        nobody = pd.DataFrame({"profile_id": [], "segment": []}, dtype="object")
        table = expect(buyers, before, nobody)
        expected: dict[str | None, float] = {None: float(buyers.expected.sum())}
        parts = table.dropna(subset="category")
        expected |= dict(zip(parts["category"], parts["expected_orders"], strict=True))
        actual = _counted(baskets, order_days, buyers, end, last)
        rule = _counted(baskets, order_days, buyers, end - window.n_days, end)
        categories = sorted(name for name in {*expected, *actual, *rule} if name is not None)
        found += [
            (end, window.n_days, name, *(one.get(name, 0.0) for one in (actual, expected, rule)))
            for name in (None, *categories)
        ]
    names = ["end_day", "n_days", "category", "actual", "expected", "last_period"]
    return DemandBacktest(pd.DataFrame(found, columns=names))


def _held(baskets: pd.DataFrame) -> pd.DataFrame:
    """``profile_id``, ``category``, ``n``: orders of a person that held a category."""
    distinct = baskets[["profile_id", "day", "category"]].drop_duplicates()
    return distinct.groupby(["profile_id", "category"]).size().rename("n").reset_index()


def _counted(
    baskets: pd.DataFrame, order_days: pd.DataFrame, buyers: Buyers, after: int, last: int
) -> dict[str | None, float]:
    """Category -> orders of these people in some days that hold it; None -> all orders."""

    def within(frame: pd.DataFrame) -> pd.DataFrame:
        found: pd.DataFrame = frame[
            (frame["day"] > after)
            & (frame["day"] <= last)
            & frame["profile_id"].isin(buyers.orders.index)
        ].drop_duplicates()
        return found

    counts = within(baskets[["profile_id", "day", "category"]])["category"].value_counts()
    result: dict[str | None, float] = {str(name): float(n) for name, n in counts.items()}
    result[None] = float(len(within(order_days[["profile_id", "day"]])))
    return result


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
