"""BG/NBD and MBG/NBD: purchases at a steady rate until the customer drops out after one of them.

While active, a customer buys at rate lambda (gamma distributed between customers: shape r, rate
alpha); after a purchase the customer drops out with probability p (beta distributed: a, b). In the
BG/NBD the first purchase cannot be the last, so everybody who bought once is "alive" for ever; the
MBG/NBD mends that by letting the first purchase be followed by dropout, too, and is the better
default. The two differ in one number: how many chances to drop out x repeats mean, x or x + 1.

Numerically nothing here can overflow or divide by a vanishing a - 1 or a + b - 1, where the
published formula with a 2F1 gives NaN (every one-time buyer when a + b < 1; everybody at a = 1;
x = 2,000 under the MBG). Of the likelihood only logarithms are formed. Expectations use that,
given activity at T, lambda and p are independent, gamma(r + x, alpha + T) and beta(a, b + chances):
lambda is integrated by hand, p by Gauss-Jacobi quadrature for exactly that beta. The integrand,
(1 - (1 + p v)^-(r + x)) / p with v = t / (alpha + T), is smooth and positive.

References:
    Fader, Hardie & Lee (2005), "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model, Marketing Science 24(2). Batislam, Denizel & Filiztekin (2007), Empirical
    validation and comparison of models for customer base analysis, IJRM 24(3).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from connector.models.clv.fitting import Bounds, Objective
from connector.models.clv.histories import Floats, Histories, Weighted, tabulate
from connector.models.clv.quadrature import beta_rule

NAMES = ("r", "alpha", "a", "b")
BOUNDS = Bounds(low=(1e-4, 1e-3, 1e-4, 1e-4), high=(1e4, 1e7, 1e4, 1e5))

NODES = ((4.0, 24), (200.0, 64), (np.inf, 256))
"""Quadrature nodes over p that suffice while horizon / (alpha + T) is no more than the limit."""

CHUNK = 16_384
"""Pairs or histories that are worked on at once: what fits into the processor's cache."""


class Variant(enum.StrEnum):
    """Whether the first purchase can be the last."""

    BG = "bg_nbd"
    MBG = "mbg_nbd"


@dataclass(frozen=True, slots=True)
class BetaGeometric:
    """A BG/NBD or MBG/NBD with known parameters.

    Attributes:
        variant: Which of the two.
        r: Shape of the purchase rates.
        alpha_days: Rate parameter of the purchase rates; r / alpha is purchases a day.
        a, b: Of the dropout probability after a purchase, mean a / (a + b).
    """

    variant: Variant
    r: float
    alpha_days: float
    a: float
    b: float

    @property
    def name(self) -> str:
        """``bg_nbd`` or ``mbg_nbd``."""
        return str(self.variant)

    @property
    def knows_dropout(self) -> bool:
        """Whether ``p_alive`` means anything."""
        return True

    def log_likelihood(self, histories: Histories) -> Floats:
        """Log density of each history, times in days."""
        x, k = histories.repeats, chances(self.variant, histories.repeats)
        rate = special.gammaln(self.r + x) - special.gammaln(self.r)
        rate += self.r * np.log(self.alpha_days)
        rate -= (self.r + x) * np.log(self.alpha_days + histories.age_days)
        survived = special.betaln(self.a, self.b + k) - special.betaln(self.a, self.b)
        total: Floats = rate + survived + np.logaddexp(0.0, self._log_odds_dead(histories))
        return total

    def p_alive(self, histories: Histories) -> Floats:
        """Probability of each customer to be active at the end of observation."""
        odds = self._log_odds_dead(histories)
        with np.errstate(over="ignore"):
            alive: Floats = 1.0 / (1.0 + np.exp(odds))
        return alive

    def _log_odds_dead(self, histories: Histories) -> Floats:
        """Log of P(dropped out after the last purchase) / P(active), minus infinity where sure."""
        x, last, age = (
            tabulate(times)
            for times in (histories.repeats, histories.last_age_days, histories.age_days)
        )
        k = chances(self.variant, x.values)
        with np.errstate(divide="ignore", invalid="ignore"):
            sure = np.where(k > 0, np.log(self.a) - np.log(self.b + k - 1.0), -np.inf)
        since = np.log(self.alpha_days + age.values)[age.codes]
        since -= np.log(self.alpha_days + last.values)[last.codes]
        since *= (self.r + x.values)[x.codes]
        since += sure[x.codes]
        return since

    def expected_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Mean purchases in the horizon of customers active at T; arrays of one length."""

        def mean(p: Floats, m: Floats, v: Floats) -> Floats:
            some: Floats = -np.expm1(-m * np.log1p(p * v)) / p
            return some

        return self._over_dropout(mean, repeats, age_days, horizon_days)

    def pairs_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """E[Y (Y - 1)] of the purchases Y in the horizon of customers active at T."""

        def factorial_moment(p: Floats, m: Floats, v: Floats) -> Floats:
            q = p * v
            y = np.log1p(q)
            # The difference loses its digits as q vanishes, where two terms of its series do.
            exact = -np.expm1(-m * y) - m * q * np.exp(-(m + 1.0) * y)
            series = m * (m + 1.0) * q**2 * (0.5 - (m + 2.0) * q / 3.0)
            g = np.where(m * q < 1e-4, series, exact)
            moment: Floats = 2.0 * (1.0 - p) * g / p**2
            return moment

        return self._over_dropout(factorial_moment, repeats, age_days, horizon_days)

    def p_none_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Probability of no purchase in the horizon of customers active at T."""
        none: Floats = np.exp(
            -(self.r + repeats) * np.log1p(horizon_days / (self.alpha_days + age_days))
        )
        return none

    def p_at_least_if_alive(
        self, repeats: Floats, age_days: Floats, horizon_days: Floats, n: int
    ) -> Floats:
        """Probability of ``n`` >= 1 or more purchases in the horizon of customers active at T.

        The n-th purchase must come in time and the n - 1 before it not be the last; rate and
        dropout are independent, so the two probabilities multiply.
        """
        z = horizon_days / (self.alpha_days + age_days + horizon_days)
        k = chances(self.variant, repeats)
        stays = special.betaln(self.a, self.b + k + n - 1.0) - special.betaln(self.a, self.b + k)
        likely: Floats = special.betainc(n, self.r + repeats, z) * np.exp(stays)
        return likely

    def _over_dropout(
        self,
        of: Callable[[Floats, Floats, Floats], Floats],
        repeats: Floats,
        age_days: Floats,
        horizon_days: Floats,
    ) -> Floats:
        """Mean of ``of(p, r + x, v)`` over the dropout probability p ~ beta(a, b + chances)."""
        v = horizon_days / (self.alpha_days + age_days)
        x = tabulate(repeats)
        mean = np.empty_like(v)
        least = -np.inf
        for limit, n_nodes in NODES:
            index = np.flatnonzero((v > least) & (v <= limit))
            least = limit
            if not index.size:
                continue
            present, place = np.unique(x.codes[index], return_inverse=True)
            k = chances(self.variant, x.values[present])
            nodes, weights = beta_rule(self.a, self.b + k, n_nodes)
            for at in range(0, index.size, CHUNK):
                part, where = index[at : at + CHUNK], place[at : at + CHUNK]
                found = of(nodes[where], (self.r + repeats[part])[:, None], v[part][:, None])
                mean[part] = np.einsum("ij,ij->i", found, weights[where])
        return mean


def chances(variant: Variant, repeats: Floats) -> Floats:
    """How often a customer with so many repeats could have dropped out."""
    return repeats if variant is Variant.BG else repeats + 1.0


def objective(variant: Variant, data: Weighted) -> Objective:
    """Mean negative log-likelihood of (log r, log alpha, log a, log b), with its gradient.

    Sums over customers become sums over different frequencies (gamma functions), different ages
    (logarithms) and, only for the chance of having dropped out, over different histories.
    """
    histories, n = data.histories, data.counts
    total = data.n_customers
    x_all, age_all = tabulate(histories.repeats), tabulate(histories.age_days)
    n_of_x = np.bincount(x_all.codes, n)
    present = np.flatnonzero(n_of_x)
    x, n_of_x = x_all.values[present], n_of_x[present]
    k = chances(variant, x)
    n_of_age = np.bincount(age_all.codes, n, minlength=age_all.values.size)
    x_of_age = np.bincount(age_all.codes, n * histories.repeats, minlength=age_all.values.size)
    # Histories are sorted by frequency, so those who may have dropped out are the tail.
    begin = int(np.searchsorted(histories.repeats, 0.0 if variant is Variant.MBG else 0.5))
    mortal = histories.take(np.arange(begin, len(histories)))
    n_mortal = n[begin:]
    age, last = tabulate(mortal.age_days), tabulate(mortal.last_age_days)
    rank = np.searchsorted(x[k > 0], mortal.repeats)
    k_mortal = k[k > 0]

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(theta)
        log_age = np.log(alpha + age_all.values)
        lgamma = special.gammaln
        of_x = lgamma(r + x) - lgamma(b + a + k) + lgamma(b + k)
        value = n_of_x @ of_x + total * (
            r * theta[1] - lgamma(r) + lgamma(a + b) - lgamma(b)
        ) - (r * n_of_age + x_of_age) @ log_age  # fmt: skip
        psi = special.digamma
        common = n_of_x @ psi(a + b + k)
        d_r = n_of_x @ psi(r + x) + total * (theta[1] - psi(r)) - n_of_age @ log_age
        d_alpha = total * r / alpha - (r * n_of_age + x_of_age) @ (1.0 / (alpha + age_all.values))
        d_a = total * psi(a + b) - common
        d_b = total * (psi(a + b) - psi(b)) + n_of_x @ psi(b + k) - common

        log_start, log_end = np.log(alpha + last.values), np.log(alpha + age.values)
        per_start, per_end = 1.0 / (alpha + last.values), 1.0 / (alpha + age.values)
        sure, per_b = theta[2] - np.log(b + k_mortal - 1.0), 1.0 / (b + k_mortal - 1.0)
        for at in range(0, n_mortal.size, CHUNK):
            part = slice(at, at + CHUNK)
            begins, ends, who, count = last.codes[part], age.codes[part], rank[part], n_mortal[part]
            gap = log_end[ends]
            gap -= log_start[begins]
            shape = r + mortal.repeats[part]
            odds = gap * shape
            odds += sure[who]
            small = np.exp(-np.abs(odds))
            value += count @ (np.maximum(odds, 0.0) + np.log1p(small))
            dead = np.where(odds >= 0, 1.0, small)
            dead /= 1.0 + small
            dead *= count
            d_r += dead @ gap
            d_a += dead.sum() / a
            d_b -= dead @ per_b[who]
            dead *= shape
            waning = per_end[ends]
            waning -= per_start[begins]
            d_alpha += dead @ waning
        gradient = np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])
        return -float(value) / total, -gradient / total

    return evaluate
