"""Lifetime value: discounted spend over a horizon, with an 80 % range, percentiles and tiers.

**Expected** is the discounted number of purchases times the expected value of one: both models hold
frequency and value for independent. Whether it is margin or net revenue is decided by the values
that the spend model was fitted on.

**The range** is what 80 % of customers with this history bring
(:mod:`connector.models.clv.ranges`); discounting scales it as it scales the mean.

**Tiers** are cut points of the expected value among the customers at hand: equal values get equal
tiers, a tier never holds more than its share, and nobody of no value has a tier above bronze.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from connector.errors import ModelError
from connector.models.clv.histories import Floats, Histories, Integers, pairs
from connector.models.clv.purchases import (
    PurchaseModel,
    check_horizon,
    discounted_if_alive,
    next_purchase_days,
)
from connector.models.clv.ranges import Counts, value_range
from connector.models.clv.spend import SpendModel, expected_spend


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a lifetime value is the value of.

    Attributes:
        days: Length; purchases after it do not count.
        annual_discount_rate: 0.10 makes a purchase in a year worth 1 / 1.10 of one today.
    """

    days: float
    annual_discount_rate: float = 0.10

    def __post_init__(self) -> None:
        check_horizon(self.days)
        if not 0.0 <= self.annual_discount_rate < 10.0:
            raise ModelError(
                f"An annual discount rate must be between 0 and 10, found"
                f" {self.annual_discount_rate}.",
                hint="Write 0.10 for ten per cent.",
            )


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of customers by expected value.

    Attributes:
        name: Such as ``gold``.
        top_share: It and the tiers above it hold at most this share of the customers.
    """

    name: str
    top_share: float


TIERS = (Tier("platinum", 0.01), Tier("gold", 0.05), Tier("silver", 0.15), Tier("bronze", 1.0))
"""The usual tiers, best first; the last one takes the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class LifetimeValues:
    """One position a customer; currency is that of the spend model.

    Attributes:
        expected: Discounted value over the horizon.
        low_80, high_80: The value lies below each with a probability of 10 and 90 %.
        p_alive: Probability to be active now; NaN where the model does not know of dropout.
        p_no_purchase: Probability of no purchase within the horizon: churn.
        purchases: Expected purchases within the horizon, not discounted.
        spend: Expected value of one purchase.
        next_purchase_days: Median days to the next purchase, if the customer stays active; NaN of
            the probably gone.
    """

    expected: Floats
    low_80: Floats
    high_80: Floats
    p_alive: Floats
    p_no_purchase: Floats
    purchases: Floats
    spend: Floats
    next_purchase_days: Floats


def lifetime_values(
    purchases: PurchaseModel,
    spend: SpendModel,
    histories: Histories,
    mean_value: Floats,
    horizon: Horizon,
) -> LifetimeValues:
    """Value every customer.

    Args:
        purchases: Model of repeat purchases.
        spend: Model of what a purchase is worth.
        histories: Of the customers, observed to the same day.
        mean_value: Mean net value of their repeat purchases; NaN without repeats.
        horizon: How far to look, and the discount.

    Raises:
        ModelError: The lengths differ, or an expected spend does not exist.
    """
    if mean_value.shape != histories.repeats.shape:
        raise ModelError(f"There are {len(histories)} histories but {mean_value.size} mean values.")
    value = expected_spend(spend, histories.repeats, mean_value)
    alive = purchases.p_alive(histories)
    pair = pairs(histories)
    x, age = pair.repeats, pair.age_days
    days = np.full(x.size, float(horizon.days))
    counts = Counts(
        mean=purchases.expected_if_alive(x, age, days),
        pairs=purchases.pairs_if_alive(x, age, days),
        buys=1.0 - purchases.p_none_if_alive(x, age, days),
    )
    discounted = discounted_if_alive(purchases, x, age, horizon.days, horizon.annual_discount_rate)
    worth = np.divide(discounted, counts.mean, out=np.ones(x.size), where=counts.mean > 0)
    known = spend.posterior(histories.repeats, mean_value)
    low, high = value_range(purchases, pair, float(horizon.days), counts, known, alive)
    return LifetimeValues(
        expected=alive * discounted[pair.codes] * value,
        low_80=low * worth[pair.codes],
        high_80=high * worth[pair.codes],
        p_alive=alive if purchases.knows_dropout else np.full(len(histories), np.nan),
        p_no_purchase=1.0 - alive * counts.buys[pair.codes],
        purchases=alive * counts.mean[pair.codes],
        spend=value,
        next_purchase_days=next_purchase_days(purchases, histories, alive),
    )


def percentiles(expected: Floats) -> Floats:
    """Share of customers with a lower value, plus half of those with the same, times 100.

    Equal values get equal percentiles, and the order of the rows does not matter.
    """
    order = np.argsort(expected)
    ordered = expected[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(begins[1:], expected.size)
    share = np.empty(expected.size)
    share[order] = np.repeat(50.0 * (begins + ends) / max(expected.size, 1), ends - begins)
    return share


def tier_cuts(expected: Floats, tiers: Sequence[Tier] = TIERS) -> tuple[float, ...]:
    """The least value of each tier but the last, among these customers.

    Raises:
        ModelError: The shares do not ascend to 1, or nobody is there.
    """
    shares = [tier.top_share for tier in tiers]
    if not shares or shares[-1] != 1.0 or any(not 0 < a < b for a, b in pairwise(shares)):
        raise ModelError(
            f"The shares of tiers must ascend to 1, found {shares}.",
            hint="Write for example 0.01, 0.05, 0.15 and 1.",
        )
    if not expected.size:
        raise ModelError("There is nobody to cut tiers from.")
    ordered = np.sort(expected)[::-1]
    cuts = []
    for share in shares[:-1]:
        room = int(np.ceil(share * expected.size - 1e-9))
        # Whoever ties with the first one outside stays outside.
        outside = ordered[room] if room < expected.size else -np.inf
        inside = ordered[:room][ordered[:room] > max(outside, 0.0)]
        cuts.append(float(inside[-1]) if inside.size else float("inf"))
    return tuple(cuts)


def tier_of(expected: Floats, cuts: Sequence[float]) -> Integers:
    """Position of each customer's tier, 0 the best; ``cuts`` as of :func:`tier_cuts`."""
    place: Integers = np.zeros(expected.size, dtype=np.int64)
    for cut in cuts:
        place += expected < cut
    return place
