"""Gamma-Gamma: what a purchase is worth, between customers and within one.

A purchase's value is gamma distributed around the customer's own mean, with shape p and rate nu;
nu is gamma distributed between customers (shape q, scale v). A customer's observed mean is then
drawn towards everybody's, the more the fewer repeats it comes from. The model holds value and
frequency for independent: :attr:`SpendFit.correlation` says how nearly that is so.

The value is that of the *repeat* purchases, net of returns (the first purchase often comes with an
offer of its own, and x counts repeats). Only customers with a positive mean are fitted on, as a
gamma distribution knows no other; when predicting, a mean at or below zero counts as zero, which
draws such a customer's forecast down and not up to the average.

Everybody's mean spend is p v / (q - 1), and does not exist for q <= 1: such a fit is refused, and
:class:`PooledSpend` answers, which weighs the customer's own mean with one purchase at the pooled
mean.

References:
    Fader & Hardie (2013), The Gamma-Gamma model of monetary value. Fader, Hardie & Lee (2005),
    RFM and CLV: using iso-value curves for customer base analysis, JMR 42(4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv import fitting
from connector.models.clv.histories import Floats, tabulate

NAMES = ("p", "q", "v")

SURE = 1e6
"""Stands for the shape of a mean that is known exactly (:class:`PooledSpend`)."""

LEAST_PURCHASES = 50
"""Purchases below which not even a pooled mean is formed."""


@dataclass(frozen=True, slots=True, eq=False)
class SpendPosterior:
    """What is known of customers' spend: purchases are gamma(p, nu), nu gamma(shape, scale).

    Attributes:
        p: Shape of one purchase, the same for everybody.
        shape: Of each customer's nu.
        scale: Rate of each customer's nu, in currency; p scale / (shape - 1) is the mean spend.
    """

    p: float
    shape: Floats
    scale: Floats

    @property
    def mean(self) -> Floats:
        """Expected value of a purchase; infinite where it does not exist."""
        with np.errstate(divide="ignore"):
            return self.p * self.scale / np.maximum(self.shape - 1.0, 0.0)


class SpendModel(Protocol):
    """What every model of spend answers."""

    @property
    def name(self) -> str:
        """As in the store."""

    def posterior(self, repeats: Floats, mean_value: Floats) -> SpendPosterior:
        """What is known of customers after their repeats."""


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """A Gamma-Gamma model with known parameters.

    Attributes:
        p: Shape of a purchase's value around the customer's mean.
        q: Shape of the differences between customers; above 1, or no mean exists.
        v: Their scale, in currency.
    """

    p: float
    q: float
    v: float

    @property
    def name(self) -> str:
        """``gamma_gamma``."""
        return "gamma_gamma"

    @property
    def has_mean(self) -> bool:
        """Whether a customer without repeats has an expected spend."""
        return self.q > 1.0

    def log_likelihood(self, repeats: Floats, mean_value: Floats) -> Floats:
        """Log density of each customer's mean; both arrays positive."""
        shape = self.p * repeats
        density: Floats = (
            special.gammaln(shape + self.q)
            - special.gammaln(shape)
            - special.gammaln(self.q)
            + self.q * np.log(self.v)
            + (shape - 1.0) * np.log(mean_value)
            + shape * np.log(repeats)
            - (shape + self.q) * np.log(self.v + repeats * mean_value)
        )
        return density

    def posterior(self, repeats: Floats, mean_value: Floats) -> SpendPosterior:
        """What is known of customers after their repeats.

        Args:
            repeats: x, 0 for one-time buyers.
            mean_value: Mean net value of the repeats, in currency; ignored without repeats (NaN
                will do), and not counted below zero.
        """
        seen = np.where(repeats > 0, repeats * np.maximum(mean_value, 0.0), 0.0)
        return SpendPosterior(self.p, self.q + self.p * repeats, self.v + seen)


@dataclass(frozen=True, slots=True)
class PooledSpend:
    """The rule without a fit: own mean and the pooled mean, the latter weighing one purchase.

    Attributes:
        mean_value: Pooled mean of a purchase, first ones included, in currency.
        variation: Standard deviation of customers' means over the pooled mean; positive.
    """

    mean_value: float
    variation: float

    @classmethod
    def of(cls, repeats: Floats, mean_value: Floats, first_value: Floats) -> PooledSpend:
        """The rule for these customers.

        First purchases count here, because few others may exist where the rule is needed.

        Args:
            repeats: x of each customer.
            mean_value: Mean net value of the repeats; NaN without repeats.
            first_value: Net value of the first purchase.

        Raises:
            InsufficientDataError: There is hardly any purchase, or their values add up to nothing.
        """
        n = repeats + 1.0
        total = first_value + np.where(repeats > 0, repeats * mean_value, 0.0)
        if n.sum() < LEAST_PURCHASES or total.sum() <= 0:
            raise InsufficientDataError(
                f"{int(n.sum())} purchases worth {total.sum():.2f} in all do not tell what a"
                f" purchase is worth; {LEAST_PURCHASES} of positive value are needed.",
                hint="Check the values, or lengthen the history.",
            )
        mean = float(total.sum() / n.sum())
        return cls(mean, max(float(np.std(total / n)) / mean, 1e-3))

    @property
    def name(self) -> str:
        """``pooled_spend``."""
        return "pooled_spend"

    def posterior(self, repeats: Floats, mean_value: Floats) -> SpendPosterior:
        """What is held of customers: purchases around a mean taken for certain."""
        seen = np.where(repeats > 0, repeats * np.maximum(mean_value, 0.0), 0.0)
        mean = (seen + self.mean_value) / (repeats + 1.0)
        p = self.variation**-2
        return SpendPosterior(p, np.full(repeats.shape, SURE), mean * (SURE - 1.0) / p)


@dataclass(frozen=True, slots=True)
class SpendFit:
    """A fitted Gamma-Gamma model.

    Attributes:
        model: With the most likely parameters.
        log_likelihood: Sum over the customers.
        standard_errors: Of p, q and v.
        n_customers: Customers with repeats of a positive mean value.
        n_left_out: Customers with repeats, but of a mean value at or below zero.
        correlation: Of repeats and mean value among the customers; the model assumes 0.
    """

    model: GammaGamma
    log_likelihood: float
    standard_errors: Mapping[str, float]
    n_customers: int
    n_left_out: int
    correlation: float


def parameters(model: SpendModel) -> dict[str, float]:
    """The parameters by name.

    Raises:
        ModelError: The model is not one of this package.
    """
    match model:
        case GammaGamma():
            return {"p": model.p, "q": model.q, "v": model.v}
        case PooledSpend():
            return {"mean_value": model.mean_value, "variation": model.variation}
        case _:
            raise ModelError(f"There is no model of spend named {model.name!r}.")


def from_parameters(name: str, values: Mapping[str, float]) -> GammaGamma | PooledSpend:
    """Inverse of :func:`parameters`, given the model's name.

    Raises:
        ModelError: The name is unknown, or a parameter is missing or not a positive number.
    """
    kinds = {"gamma_gamma": NAMES, "pooled_spend": ("mean_value", "variation")}
    wanted = kinds.get(name)
    if wanted is None or set(values) != set(wanted):
        raise ModelError(
            f"A model of spend {name!r} with the parameters {sorted(values)} is unknown.",
            hint=f"Known models: {', '.join(kinds)}.",
        )
    if not all(np.isfinite(value) and value > 0 for value in values.values()):
        raise ModelError(f"A parameter of {name!r} is not a positive number: {dict(values)}.")
    ordered = [float(values[key]) for key in wanted]
    return GammaGamma(*ordered) if name == "gamma_gamma" else PooledSpend(*ordered)


def fit(repeats: Floats, mean_value: Floats) -> SpendFit:
    """Fit the Gamma-Gamma model by maximum likelihood.

    Args:
        repeats: x of each customer, 0 for one-time buyers.
        mean_value: Mean net value of a repeat purchase, in currency; NaN without repeats.

    Raises:
        InsufficientDataError: Too few customers, a flat likelihood, or no mean spend (q <= 1).
        ModelError: A mean value of a customer with repeats is missing or infinite.
    """
    x, value = _usable(repeats, mean_value)
    fitting.refuse_few_repeaters(x.size)
    level = float(np.median(value))
    steps = np.unique(np.linspace(0, x.size - 1, min(x.size, fitting.SAMPLE_CUSTOMERS)).astype(int))
    order = np.argsort(value)[steps] if steps.size < x.size else np.arange(x.size)
    full = objective(x, value)
    optimum = fitting.maximise(
        full,
        full if steps.size == x.size else objective(x[order], value[order]),
        names=NAMES,
        starts=[(p, q, level * max(q - 1.0, 0.5) / p) for p, q in ((4.0, 4.0), (1.0, 2.0))],
        bounds=fitting.Bounds(low=(1e-3, 1e-2, level * 1e-6), high=(1e4, 1e4, level * 1e6)),
        n_customers=float(x.size),
    )
    p, q, v = (float(value) for value in optimum.parameters)
    if q <= 1.0:
        raise InsufficientDataError(
            f"Spend differs so much between customers (q = {q:.2f}, at most 1) that their mean"
            " does not exist.",
            hint="Winsorise the order values, or leave resellers out.",
        )
    return SpendFit(
        model=GammaGamma(p, q, v),
        log_likelihood=optimum.log_likelihood,
        standard_errors=fitting.named(NAMES, optimum.standard_errors),
        n_customers=int(x.size),
        n_left_out=int(np.count_nonzero(repeats)) - int(x.size),
        correlation=_correlation(x, value),
    )


def fit_or_rule(repeats: Floats, mean_value: Floats, first_value: Floats) -> tuple[SpendModel, str]:
    """A fitted model and an empty text, or the pooled mean and why the fit was refused.

    Args:
        repeats: x of each customer.
        mean_value: Mean net value of the repeats; NaN without repeats.
        first_value: Net value of the first purchase, for the rule.

    Raises:
        InsufficientDataError: Not even the rule has anything to go by.
        ModelError: A mean value of a customer with repeats is missing or infinite.
    """
    try:
        return fit(repeats, mean_value).model, ""
    except InsufficientDataError as refusal:
        return PooledSpend.of(repeats, mean_value, first_value), str(refusal)


def expected_spend(model: SpendModel, repeats: Floats, mean_value: Floats) -> Floats:
    """Expected value of each customer's next purchase, in currency.

    Args:
        model: Fitted, or the rule.
        repeats: x of each customer.
        mean_value: Mean net value of the repeats; NaN without repeats.

    Raises:
        ModelError: Somebody's expectation does not exist (q + p x <= 1).
    """
    known = model.posterior(repeats, mean_value)
    if (known.shape <= 1.0).any():
        raise ModelError(
            f"{int((known.shape <= 1.0).sum())} customers have no expected spend, as q <= 1.",
            hint="Fit again, or use the pooled mean.",
        )
    return known.mean


def objective(repeats: Floats, mean_value: Floats) -> fitting.Objective:
    """Mean negative log-likelihood of (log p, log q, log v), with its gradient."""
    n = float(repeats.size)
    x = tabulate(repeats)
    n_of_x = np.bincount(x.codes, minlength=x.values.size).astype(np.float64)
    present = np.flatnonzero(n_of_x)
    values, n_of_x = x.values[present], n_of_x[present]
    spent = repeats * mean_value
    sum_log_mean = float(np.log(mean_value).sum())
    sum_x_log_spent = float(repeats @ np.log(spent))

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(theta)
        both, own = p * values + q, p * values
        log_scale = np.log(v + spent)
        total_log, total_x_log = log_scale.sum(), repeats @ log_scale
        inverse = 1.0 / (v + spent)
        total_inverse, total_x_inverse = inverse.sum(), repeats @ inverse
        value = n_of_x @ (special.gammaln(both) - special.gammaln(own))
        value += n * (q * theta[2] - special.gammaln(q))
        value += p * sum_x_log_spent - sum_log_mean - p * total_x_log - q * total_log
        psi = special.digamma
        psi_both = psi(both)
        d_p = n_of_x @ (values * (psi_both - psi(own))) + sum_x_log_spent - total_x_log
        d_q = n_of_x @ psi_both + n * (theta[2] - psi(q)) - total_log
        d_v = n * q / v - p * total_x_inverse - q * total_inverse
        return -float(value) / n, -np.array([d_p * p, d_q * q, d_v * v]) / n

    return evaluate


def _usable(repeats: Floats, mean_value: Floats) -> tuple[Floats, Floats]:
    """Repeats and means of the customers who have both."""
    if repeats.shape != mean_value.shape:
        raise ModelError(f"There are {repeats.size} customers but {mean_value.size} mean values.")
    repeaters = repeats > 0
    missing = repeaters & ~np.isfinite(mean_value)
    if missing.any():
        raise ModelError(
            f"{int(missing.sum())} customers with repeat purchases have no mean value (first at"
            f" position {int(np.flatnonzero(missing)[0])}).",
            hint="Give every repeat purchase its net value.",
        )
    usable = repeaters & (np.where(repeaters, mean_value, 0.0) > 0)
    return repeats[usable], mean_value[usable]


def _correlation(x: Floats, value: Floats) -> float:
    """Pearson's; 0 where nobody differs."""
    if not (np.ptp(x) and np.ptp(value)):
        return 0.0
    return float(np.corrcoef(x, value)[0, 1])
