"""What a person bought, how often, when last, and whether such things are bought again.

Some items are used up (coffee, filters) and some are not (sofas). A recommender that does not know
the difference sells the sofa again. Whoever runs the shop may say what is used up; else the data
do: an item that enough of its buyers bought again, at gaps whose median is its cycle.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import ModelError
from connector.models.baskets import Baskets

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAY_S = 86_400.0
"""Seconds of a day."""
CONSUMABLE_SHARE = 0.2
"""Share of an item's buyers who bought it again from which on it counts as used up."""
FEWEST_BUYERS = 30
"""Buyers of an item below which its share of repeaters says nothing."""
FEWEST_GAPS = 20
"""Repeat purchases of an item below which its cycle is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Cycles:
    """How items are bought again.

    Attributes:
        is_consumable: Of each item.
        days: Median days between two purchases of a person; NaN where not known.
    """

    is_consumable: Bools
    days: Floats


def naive_times(times: pd.Series) -> npt.NDArray[np.datetime64]:
    """Times as UTC without a zone, for arithmetic in numpy."""
    aware = pd.to_datetime(times, utc=True)
    return aware.dt.tz_localize(None).to_numpy().astype("datetime64[s]")


def purchases(baskets: Baskets) -> pd.DataFrame:
    """One row for each person, item and basket: ``owner``, ``item``, ``at``; sorted.

    Raises:
        ModelError: The baskets have no times.
    """
    if baskets.at is None:
        raise ModelError("The order lines lack the column at.", hint="Pass the time of the order.")
    table = baskets.table.tocoo()
    bought = pd.DataFrame(
        {
            "owner": baskets.owners[table.row],
            "item": table.col.astype(np.int64),
            "at": naive_times(baskets.at)[table.row],
        }
    )
    bought = bought[bought["owner"] >= 0]
    return bought.sort_values(["owner", "item", "at"], kind="stable", ignore_index=True)


def learn_cycles(
    bought: pd.DataFrame, items: tuple[str, ...], *, consumables: Collection[str] | None = None
) -> Cycles:
    """Which items are used up, and after how long.

    Args:
        bought: From :func:`purchases`.
        items: Names by position.
        consumables: Those that are used up, if somebody knows; None: learn it.
    """
    n = len(items)
    same = (bought["owner"].diff() == 0) & (bought["item"].diff() == 0)
    gap = (bought["at"].diff().dt.total_seconds() / DAY_S).where(same)
    again = gap.notna() & (gap > 0)
    medians = gap[again].groupby(bought["item"][again]).agg(["median", "size"])
    days = np.full(n, np.nan)
    enough = medians[medians["size"] >= FEWEST_GAPS]
    days[enough.index.to_numpy()] = enough["median"]
    if consumables is not None:
        return Cycles(np.isin(np.array(items, dtype=object), list(consumables)), days)
    each = bought.groupby(["owner", "item"])["at"].nunique()
    code = each.index.get_level_values("item")
    buyers = np.bincount(code, minlength=n)
    repeaters = np.bincount(code[each.to_numpy() > 1], minlength=n)
    share = repeaters / np.maximum(buyers, 1)
    return Cycles((buyers >= FEWEST_BUYERS) & (share >= CONSUMABLE_SHARE), days)


def own_counts(bought: pd.DataFrame, as_of: np.datetime64) -> pd.DataFrame:
    """For each person and item: ``n`` baskets and ``days_since`` the last, as of an instant."""
    grouped = bought.groupby(["owner", "item"], sort=True)["at"].agg(["size", "max"])
    result = grouped.reset_index().rename(columns={"size": "n"})
    result["days_since"] = (pd.Timestamp(as_of) - result.pop("max")).dt.total_seconds() / DAY_S
    return result
