"""How wrong numbers of orders to expect were in the past, by segment and by category.

Past windows are predicted from what was known before them, and held against what the same people
bought, beside the rule that everybody uses: as many as in the last period of equal length. A
segment is made of the people who would have been in it when the window began; those who are in it
today were chosen by what they did in the window. Errors are absolute, as a share of what happened
(WAPE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from connector.errors import InsufficientDataError
from connector.models.demand import Buyers, expect

KEYS = ("segment", "category")
RULES = {"wape": "expected", "wape_last_period": "last_period"}
"""Column of an error -> column of the prediction that it is the error of."""


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
        rows: One for each window, segment (missing: everybody) and category (missing: all orders):
            ``end_day``, ``n_days``, ``segment``, ``category``, ``actual``, ``expected``,
            ``variance`` (of the people alone), ``last_period``.
    """

    rows: pd.DataFrame

    @property
    def by_part(self) -> pd.DataFrame:
        """Share of what happened that each rule was off by, over all windows.

        One row for each segment and category: ``segment``, ``category``, ``actual``, ``wape``,
        ``wape_last_period``; NaN where nothing happened. That of all orders of a segment is the
        error of its total.
        """
        off = self.rows.assign(
            **{
                error: (self.rows[column] - self.rows["actual"]).abs()
                for error, column in RULES.items()
            }
        )
        sums = off.groupby([*KEYS], dropna=False)[["actual", *RULES]].sum().reset_index()
        for error in RULES:
            sums[error] = sums[error] / sums["actual"].where(sums["actual"] > 0)
        return sums

    @property
    def errors(self) -> pd.DataFrame:
        """The categories of everybody, busiest first: ``category``, ``actual``, and the errors."""
        parts = self.by_part
        mine = parts[parts["segment"].isna() & parts["category"].notna()]
        return (
            mine.drop(columns="segment")
            .sort_values(["actual", "category"], ascending=[False, True])
            .reset_index(drop=True)
        )

    @property
    def model_variance(self) -> float:
        """Variance of the factor by which all numbers of one window were off, by moments.

        What the people's own variance leaves of the squared errors, over the squared predictions:
        of everybody's categories and of all their orders.
        """
        mine = self.rows[self.rows["segment"].isna()]
        left = ((mine["actual"] - mine["expected"]) ** 2 - mine["variance"]).sum()
        return max(_over(left, float((mine["expected"] ** 2).sum())), 0.0)

    def wape(self, rule: str = "expected") -> float:
        """Absolute errors of all categories and windows over all that happened.

        Args:
            rule: ``expected``, or ``last_period`` for the naive rule.
        """
        rows = self.rows
        parts = rows[rows["segment"].isna() & rows["category"].notna()]
        return _over((parts[rule] - parts["actual"]).abs().sum(), parts["actual"].sum())

    def total_error(self, rule: str = "expected") -> float:
        """Orders predicted in all windows over those that came, minus 1."""
        rows = self.rows
        whole = rows[rows["segment"].isna() & rows["category"].isna()]
        return _over(whole[rule].sum(), whole["actual"].sum()) - 1.0


def backtest(
    baskets: pd.DataFrame,
    order_days: pd.DataFrame,
    windows: Sequence[Window],
    known: Callable[[Window], Buyers],
    members: Callable[[Window], pd.DataFrame] | None = None,
) -> DemandBacktest:
    """Predict past windows and hold that against what happened.

    Args:
        baskets: ``profile_id``, ``day``, ``category`` of the whole history.
        order_days: ``profile_id``, ``day``: every day that somebody bought on.
        windows: What to predict.
        known: Who had bought by a window's ``end_day``, told by nothing after it.
        members: ``profile_id``, ``segment`` as of the end of that day; by default no segments.

    Raises:
        InsufficientDataError: No order holds a category, or there is no window.
    """
    if baskets.empty or not windows:
        raise InsufficientDataError(
            "Demand cannot be tried: no order holds a category.",
            hint="Map tables.order_items and tables.products with a category.",
        )
    held = baskets[["profile_id", "day", "category"]].drop_duplicates()
    days = order_days[["profile_id", "day"]].drop_duplicates().assign(category=None)
    bought = pd.concat([held.astype({"category": object}), days.astype({"category": object})])
    found = []
    for window in windows:
        buyers = known(window)
        there = _nobody() if members is None else members(window)
        end, n_days = window.end_day, window.n_days
        table = expect(buyers, held[held["day"] <= end], there).drop(columns=["low_80", "high_80"])
        mine = bought[bought["profile_id"].isin(buyers.orders.index)]
        for column, after in (("actual", end), ("last_period", end - n_days)):
            within = mine[(mine["day"] > after) & (mine["day"] <= after + n_days)]
            table = table.merge(_counted(within, there, column), how="outer", on=[*KEYS])
        found.append(table.assign(end_day=end, n_days=n_days))
    rows = pd.concat(found, ignore_index=True).rename(columns={"expected_orders": "expected"})
    numbers = ["actual", "expected", "variance", "last_period"]
    rows[numbers] = rows[numbers].fillna(0.0)
    return DemandBacktest(rows[["end_day", "n_days", *KEYS, *numbers]])


def _counted(within: pd.DataFrame, members: pd.DataFrame, column: str) -> pd.DataFrame:
    """Orders of everybody and of each segment that hold each category, and all orders."""
    own = within.merge(members[["profile_id", "segment"]].drop_duplicates(), on="profile_id")
    parts = pd.concat([within.assign(segment=None), own]).astype({"segment": object})
    counts = parts.groupby([*KEYS], dropna=False).size().rename(column).astype("float64")
    return counts.reset_index().astype(dict.fromkeys(KEYS, object))


def _nobody() -> pd.DataFrame:
    return pd.DataFrame({"profile_id": [], "segment": []}, dtype="object")


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def with_errors(table: pd.DataFrame, tried: DemandBacktest | None) -> pd.DataFrame:
    """A forecast with the error of each of its rows beside it, NaN where it was not tried.

    Args:
        table: Of :func:`connector.models.demand.expect`.
        tried: The backtest; None where there is none.
    """
    if tried is None:
        return table.assign(**dict.fromkeys(RULES, float("nan")))
    errors = tried.by_part[[*KEYS, *RULES]].astype(dict.fromkeys(KEYS, object))
    return table.astype(dict.fromkeys(KEYS, object)).merge(errors, how="left", on=[*KEYS])
