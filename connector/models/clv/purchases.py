"""Predicting with any model of repeat purchases, and the rule for when there is none.

A family describes customers who are active (:class:`PurchaseModel`); the functions here combine
that with the probability of being active, for as many customers at once as there are. What holds
for the active depends on repeats and age alone, so it is computed once a pair.

**Next purchase** is the median wait of a customer who stays active: (alpha + T) (2^(1/(r+x)) - 1)
days, which all models share as they share the gamma rate. It is not said (NaN) of somebody more
likely gone than active, nor when it is more than ten years.

**Churn** is the probability of no purchase in the next t days (:func:`p_no_purchase`), not
1 - P(active): somebody active may well not buy for a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.histories import Floats, Histories, pairs, tabulate
from connector.models.clv.quadrature import legendre

DAYS_PER_YEAR = 365.25
"""Length of the year that a discount rate is for."""

LONGEST_WAIT_DAYS = 3652.5
"""A longer wait for the next purchase is not a forecast."""

DISCOUNT_NODES = 8
"""Quadrature nodes over the horizon; what they miss is damped by the discount, about 1e-6."""


class PurchaseModel(Protocol):
    """What every model of repeat purchases answers; arrays of one length, times in days.

    ``..._if_alive`` is about customers who are active at the end of observation.
    """

    @property
    def name(self) -> str:
        """As in the configuration and in the store."""

    @property
    def r(self) -> float:
        """Shape of the purchase rates."""

    @property
    def alpha_days(self) -> float:
        """Rate parameter of the purchase rates."""

    @property
    def knows_dropout(self) -> bool:
        """Whether ``p_alive`` means anything."""

    def p_alive(self, histories: Histories) -> Floats:
        """Probability of each customer to be active at the end of observation."""

    def expected_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Mean number Y of purchases in the horizon."""

    def pairs_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """E[Y (Y - 1)]."""

    def p_none_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """P(Y = 0)."""

    def p_at_least_if_alive(
        self, repeats: Floats, age_days: Floats, horizon_days: Floats, n: int
    ) -> Floats:
        """P(Y >= n), n >= 1."""


@dataclass(frozen=True, slots=True)
class PooledRate:
    """The rule without a fit: everybody's rate, shrunk towards the pooled one; no dropout.

    A customer's purchases a day are (x + rho c) / (T + c), rho the pooled rate of all customers and
    c their mean age: a gamma-Poisson rule that weighs the pooled rate as much as one average
    history. Knowing of no dropout it promises too much over long horizons, and it names no
    probability to be active.

    Attributes:
        r: Purchases that the pooled rate weighs as.
        alpha_days: Days that the pooled rate weighs as.
    """

    r: float
    alpha_days: float

    @classmethod
    def of(cls, histories: Histories) -> PooledRate:
        """The rule for these customers.

        Raises:
            InsufficientDataError: Nobody has been observed for a day.
        """
        observed = float(histories.age_days.sum())
        if not observed:
            raise InsufficientDataError(
                "No customer has been observed for a day after the first purchase.",
                hint="Wait, or check the first day of the orders.",
            )
        weight = observed / len(histories)
        return cls(float(histories.repeats.sum()) / observed * weight, weight)

    @property
    def name(self) -> str:
        """``pooled_rate``."""
        return "pooled_rate"

    @property
    def knows_dropout(self) -> bool:
        """Whether ``p_alive`` means anything: here it does not."""
        return False

    def p_alive(self, histories: Histories) -> Floats:
        """One for everybody: the rule does not know of dropout."""
        return np.ones(len(histories))

    def expected_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Mean purchases in the horizon."""
        return (self.r + repeats) / (self.alpha_days + age_days) * horizon_days

    def pairs_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """E[Y (Y - 1)] of the purchases Y in the horizon."""
        m = self.r + repeats
        return m * (m + 1.0) * (horizon_days / (self.alpha_days + age_days)) ** 2

    def p_none_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Probability of no purchase in the horizon."""
        none: Floats = np.exp(
            -(self.r + repeats) * np.log1p(horizon_days / (self.alpha_days + age_days))
        )
        return none

    def p_at_least_if_alive(
        self, repeats: Floats, age_days: Floats, horizon_days: Floats, n: int
    ) -> Floats:
        """Probability of ``n`` >= 1 or more purchases in the horizon."""
        m, alpha = self.r + repeats, self.alpha_days + age_days
        # A rate of exactly zero (nobody ever came back) has no beta distribution.
        z = horizon_days / (alpha + horizon_days)
        likely: Floats = np.where(m > 0, special.betainc(n, np.maximum(m, 1e-300), z), 0.0)
        return likely


def p_alive(model: PurchaseModel, histories: Histories) -> Floats:
    """Probability to be active at the end of observation; NaN of a rule without dropout."""
    return model.p_alive(histories) if model.knows_dropout else np.full(len(histories), np.nan)


def expected_purchases(model: PurchaseModel, histories: Histories, horizon_days: float) -> Floats:
    """Mean purchases of each customer in the days after the end of observation.

    For new customers use :data:`connector.models.clv.histories.NEWCOMER`.

    Raises:
        ModelError: The horizon is not a positive number of days.
    """
    check_horizon(horizon_days)
    pair = pairs(histories)
    horizon = np.full(pair.repeats.size, float(horizon_days))
    expected: Floats = model.expected_if_alive(pair.repeats, pair.age_days, horizon)[pair.codes]
    expected *= model.p_alive(histories)
    return expected


def p_no_purchase(model: PurchaseModel, histories: Histories, horizon_days: float) -> Floats:
    """Probability of each customer not to buy in the days after the end of observation.

    Raises:
        ModelError: The horizon is not a positive number of days.
    """
    check_horizon(horizon_days)
    pair = pairs(histories)
    horizon = np.full(pair.repeats.size, float(horizon_days))
    none = model.p_none_if_alive(pair.repeats, pair.age_days, horizon)
    silent: Floats = 1.0 - model.p_alive(histories) * (1.0 - none)[pair.codes]
    return silent


def p_at_least(model: PurchaseModel, histories: Histories, horizon_days: float, n: int) -> Floats:
    """Probability of each customer to buy at least ``n`` times in the days to come.

    Raises:
        ModelError: The horizon is not a positive number of days, or ``n`` is below 1.
    """
    check_horizon(horizon_days)
    if n < 1:
        raise ModelError(f"A number of purchases must be at least 1, found {n}.")
    pair = pairs(histories)
    horizon = np.full(pair.repeats.size, float(horizon_days))
    likely = model.p_at_least_if_alive(pair.repeats, pair.age_days, horizon, n)
    chance: Floats = model.p_alive(histories) * likely[pair.codes]
    return chance


def next_purchase_days(model: PurchaseModel, histories: Histories, alive: Floats) -> Floats:
    """Median days to the next purchase if the customer stays active; NaN where not said.

    Args:
        model: Fitted, or the rule.
        histories: Of the customers.
        alive: ``model.p_alive(histories)``.
    """
    x = tabulate(histories.repeats)
    days: Floats = np.expm1(np.log(2.0) / np.maximum(model.r + x.values, 1e-3))[x.codes]
    days *= model.alpha_days + histories.age_days
    days[(alive < 0.5) | (days > LONGEST_WAIT_DAYS)] = np.nan
    return days


def discounted_if_alive(
    model: PurchaseModel,
    repeats: Floats,
    age_days: Floats,
    horizon_days: float,
    annual_rate: float,
) -> Floats:
    """Mean of the sum of (1 + rate)^-(years until it) over the purchases in the horizon.

    By parts: the discounted sum is what all purchases would be worth at the horizon's end, and the
    discount's growth times the purchases already made, integrated. Nodes lie evenly in
    log(alpha + T + u), as purchases slow down with the time that they are waited for.
    """
    force = float(np.log1p(annual_rate)) / DAYS_PER_YEAR
    last = np.full(repeats.size, float(horizon_days))
    total: Floats = model.expected_if_alive(repeats, age_days, last)
    total *= np.exp(-force * horizon_days)
    if force == 0:
        return total
    scale = model.alpha_days + age_days
    width = np.log1p(horizon_days / scale)
    for y, weight in zip(*legendre(DISCOUNT_NODES), strict=True):
        w = width * y
        u = scale * np.expm1(w)
        so_far = model.expected_if_alive(repeats, age_days, u)
        total += force * weight * width * (scale + u) * np.exp(-force * u) * so_far
    return total


def check_horizon(horizon_days: float) -> None:
    """Refuse a horizon that is not a positive number of days.

    Raises:
        ModelError: It is not.
    """
    if not 0 < horizon_days < np.inf:
        raise ModelError(f"A horizon must be a positive number of days, found {horizon_days}.")
