"""Orders to expect of each segment in each category, with an 80 % range.

**The rule.** A person's orders in a category are the person's expected orders (from a model of
repeat purchases) times the share of their orders that hold it. That share is the person's own,
shrunk towards everybody's as if everybody's had been seen in :data:`MIX_ORDERS` orders of theirs:
(n_ic + k m_c) / (n_i + k). Somebody with one order is thus told mostly by all, a regular by their
own baskets. An order that holds two categories counts in both, so categories add up to more than
the orders; these are a row of their own.

Only people who have bought are in it: nobody knows whom the next campaign brings. An order is a day
on which somebody bought, as in the models of repeat purchases.

**The range** adds up what is not known of a sum of N orders with mean e:

* the people: N is a sum of independent people, whose variance the model of purchases tells, each
  order of theirs holding the category with a chance that is itself uncertain (beta, its mean as
  above), so that Var_i = E[Y (Y - 1)] E[s^2] + E[Y] E[s] - (E[Y] E[s])^2;
* the model: everything that moves all people alike (a season, a wrong rate) is one factor of mean 1
  and variance ``model_variance``, which the backtest estimates, and which adds e^2 times that.

Quantiles 10 and 90 % are those of the negative binomial distribution of that mean and variance,
which is a Poisson distribution with an uncertain rate; of a Poisson distribution where the variance
is no larger than the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from connector.errors import ModelError
from connector.models.clv.histories import Floats
from connector.models.clv.ranges import HIGH, LOW

MIX_ORDERS = 5.0
"""So many orders of a person weigh as much as everybody's mix."""

_NUMBERS = ("people", "expected_orders")


@dataclass(frozen=True, slots=True)
class Buyers:
    """Everybody who had bought by a day; index ``profile_id``.

    Attributes:
        orders: Orders so far.
        expected: Orders to expect in the horizon.
        pairs: Expected number of ordered pairs of them, E[Y (Y - 1)]; by default that of a Poisson
            distribution.
    """

    orders: pd.Series
    expected: pd.Series
    pairs: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))

    def __post_init__(self) -> None:
        if self.pairs.empty:
            object.__setattr__(self, "pairs", self.expected**2)
        same = all(self.orders.index.equals(one.index) for one in (self.expected, self.pairs))
        if not same or not self.orders.index.is_unique:
            raise ModelError("Orders so far and expected orders must be of the same people.")
        for one in (self.expected, self.pairs):
            if not np.isfinite(one).all() or (one < 0).any():
                raise ModelError("Expected orders must be known, and 0 or more.")


def expect(
    buyers: Buyers,
    baskets: pd.DataFrame,
    members: pd.DataFrame,
    *,
    mix_orders: float = MIX_ORDERS,
    model_variance: float = 0.0,
) -> pd.DataFrame:
    """Orders to expect of each segment in each category.

    Args:
        buyers: Whom to predict.
        baskets: ``profile_id``, ``day``, ``category``: what orders held until the same day.
        members: ``profile_id``, ``segment``; people who have not bought are passed over.
        mix_orders: So many orders of a person weigh as much as everybody's mix.
        model_variance: Of the factor by which the whole may be off.

    Returns:
        ``segment`` (missing: everybody), ``category`` (missing: all orders), ``people`` (buyers of
        the segment), ``expected_orders``, ``low_80``, ``high_80``, and ``variance``, of the people
        alone; everybody first, then by segment; most orders first.
    """
    index = buyers.orders.index
    held = _held(baskets)
    held = held[held["profile_id"].isin(index)]
    # An order may be no purchase on balance (all of it came back) and still have held something.
    seen = held.groupby("profile_id")["n"].max().reindex(index).fillna(0.0)
    orders = np.maximum(buyers.orders.to_numpy(dtype="float64"), seen.to_numpy())
    mix = mix_orders * held.groupby("category")["n"].sum() / orders.sum()
    mean, pairs = buyers.expected.to_numpy(), buyers.pairs.to_numpy()
    weight = orders + mix_orders
    # Of a share with the beta parameters a and weight - a: the mean of the orders is once a, their
    # variance square a^2 + (both + once) a; a is everybody's part and the own count.
    once = mean / weight
    both = pairs / (weight * (weight + 1.0))
    square = both - once**2
    place, n = index.get_indexer(pd.Index(held["profile_id"])), held["n"].to_numpy(dtype="float64")
    own = pd.DataFrame(
        {
            "category": held["category"].to_numpy(),
            "mean": once[place] * n,
            "square": square[place] * n**2,
            "cross": 2.0 * square[place] * n,
            "linear": (both + once)[place] * n,
        }
    )
    people: dict[str | None, pd.Index] = {None: index}
    for segment, mine in members.groupby("segment")["profile_id"]:
        people[str(segment)] = index.intersection(pd.Index(mine))
    rows: list[tuple[str | None, str | None, int, float, float]] = []
    for name, ids in people.items():
        inside = np.zeros(len(index), dtype=bool)
        inside[index.get_indexer(ids)] = True
        sums = own[inside[place]].groupby("category").sum().reindex(mix.index).fillna(0.0)
        expected = mix * once[inside].sum() + sums["mean"]
        variance = (
            mix**2 * square[inside].sum()
            + mix * (both + once)[inside].sum()
            + sums["square"]
            + mix * sums["cross"]
            + sums["linear"]
        )
        ranked = sorted(expected.items(), key=lambda item: (-item[1], str(item[0])))
        total = float(mean[inside].sum())
        spread = total + float((pairs - mean**2)[inside].sum())
        rows.append((name, None, len(ids), total, spread))
        rows += [(name, str(c), len(ids), float(e), float(variance[c])) for c, e in ranked]
    table = pd.DataFrame(rows, columns=["segment", "category", *_NUMBERS, "variance"])
    low, high = count_range(table["expected_orders"], table["variance"], model_variance)
    table.insert(4, "low_80", low)
    table.insert(5, "high_80", high)
    return table


def count_range(
    expected: pd.Series, variance: pd.Series, model_variance: float
) -> tuple[Floats, Floats]:
    """Quantiles 10 and 90 % of numbers of orders.

    Args:
        expected: Their means.
        variance: Of the people alone.
        model_variance: Of the factor by which all may be off, mean 1.
    """
    mean = expected.to_numpy(dtype="float64")
    whole = variance.to_numpy(dtype="float64") + model_variance * mean**2
    wide = whole > mean * (1.0 + 1e-9)
    excess = np.where(wide, whole - mean, 1.0)
    ends = []
    for level in (LOW, HIGH):
        poisson = stats.poisson.ppf(level, mean)
        with np.errstate(divide="ignore", invalid="ignore"):
            wider = stats.nbinom.ppf(level, mean**2 / excess, mean / (mean + excess))
        ends.append(np.where(mean > 0, np.where(wide, wider, poisson), 0.0))
    return ends[0], ends[1]


def _held(baskets: pd.DataFrame) -> pd.DataFrame:
    """``profile_id``, ``category``, ``n``: orders of a person that held a category."""
    distinct = baskets[["profile_id", "day", "category"]].drop_duplicates()
    return distinct.groupby(["profile_id", "category"]).size().rename("n").reset_index()
