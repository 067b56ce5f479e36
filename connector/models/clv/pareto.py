"""Pareto/NBD: purchases at a steady rate until the customer drops out, at any moment.

Rates of purchase are gamma distributed between customers (shape r, rate alpha), rates of dropout
too (s, beta), and independent. Dropping out does not wait for a purchase, so one-time buyers, too,
become less likely to be active with every silent day.

The likelihood holds an integral over the unknown moment of dropout between the last purchase and
the end of observation. Published forms use a difference of two 2F1 functions, which cancels or
overflows for frequent buyers (peers stop at a worse optimum with one robot of 5,000 purchases).
Here the integral itself is taken, by Gauss-Legendre quadrature in log time, relative to its
integrand at the last purchase, and only as far as the integrand has not vanished. Every term is
then between 0 and 1, whatever x.

References:
    Schmittlein, Morrison & Colombo (1987), Counting your customers, Management Science 33(1).
    Fader & Hardie (2005), A note on deriving the Pareto/NBD model and related expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from connector.models.clv.fitting import Bounds, Objective
from connector.models.clv.histories import Floats, Histories, Weighted, tabulate
from connector.models.clv.quadrature import legendre

NAMES = ("r", "alpha", "s", "beta")
BOUNDS = Bounds(low=(1e-4, 1e-3, 1e-4, 1e-3), high=(1e4, 1e7, 1e4, 1e7))

MANY_NODES, FEW_NODES = 24, 12
"""Nodes of the quadrature in log time: exact to fourteen digits, or to nine for slow decays."""

SLOW_DECAY, SHORT_WIDTH = 8.0, 4.0
"""Few nodes do for integrands that fall by less than exp(-8) over less than exp(4) in time."""

COUNT_NODES = 64
"""Nodes for the distribution of counts, which may have a narrow peak."""

VANISHED = 40.0
"""The integrand is left out where purchases alone make it smaller than exp(-40)."""

CHUNK = 4096
"""Histories that are integrated at once: what fits into the processor's cache."""


@dataclass(frozen=True, slots=True)
class Pareto:
    """A Pareto/NBD with known parameters.

    Attributes:
        r: Shape of the purchase rates.
        alpha_days: Rate parameter of the purchase rates; r / alpha is purchases a day.
        s: Shape of the dropout rates.
        beta_days: Rate parameter of the dropout rates.
    """

    r: float
    alpha_days: float
    s: float
    beta_days: float

    @property
    def name(self) -> str:
        """``pareto_nbd``."""
        return "pareto_nbd"

    @property
    def knows_dropout(self) -> bool:
        """Whether ``p_alive`` means anything."""
        return True

    def log_likelihood(self, histories: Histories) -> Floats:
        """Log density of each history, times in days."""
        x = histories.repeats
        alive, dead = self._alive_and_dead(histories)
        start_alpha = self.alpha_days + histories.last_age_days
        start_beta = self.beta_days + histories.last_age_days
        total: Floats = (
            special.gammaln(self.r + x)
            - special.gammaln(self.r)
            + self.r * np.log(self.alpha_days)
            + self.s * np.log(self.beta_days)
            - (self.r + x) * np.log(start_alpha)
            - self.s * np.log(start_beta)
            + np.log(alive + dead)
        )
        return total

    def p_alive(self, histories: Histories) -> Floats:
        """Probability of each customer to be active at the end of observation."""
        alive, dead = self._alive_and_dead(histories)
        share: Floats = alive / (alive + dead)
        return share

    def _alive_and_dead(self, histories: Histories) -> tuple[Floats, Floats]:
        """Likelihoods of being active and of having dropped out, on a common scale.

        One-time buyers, most people, differ by their age alone: each age is integrated once.
        """
        again = np.flatnonzero(histories.repeats)
        once = np.flatnonzero(histories.repeats == 0)
        age = tabulate(histories.age_days[once])
        nothing = np.zeros(age.values.size)
        last = np.concatenate([histories.last_age_days[again], nothing])
        lived, broken = _silence(
            self.r + np.concatenate([histories.repeats[again], nothing]),
            self.alpha_days + last,
            self.s,
            self.beta_days + last,
            np.concatenate([histories.age_days[again], age.values]) - last,
        )
        place = np.empty(len(histories), dtype=np.int64)
        place[again] = np.arange(again.size)
        place[once] = again.size + age.codes
        return lived[place], broken[place]

    def expected_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Mean purchases in the horizon of customers active at T; arrays of one length."""
        rate = (self.r + repeats) / (self.alpha_days + age_days)
        beta = self.beta_days + age_days
        length = np.log1p(horizon_days / beta)
        mean: Floats = rate * beta * length * special.exprel((1.0 - self.s) * length)
        return mean

    def pairs_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """E[Y (Y - 1)] of the purchases Y in the horizon of customers active at T."""
        m, alpha = self.r + repeats, self.alpha_days + age_days
        beta = self.beta_days + age_days
        length = np.log1p(horizon_days / beta)
        # Mean square of the active time: 2 * integral of u (1 + u / beta)^-s.
        grown = special.exprel((2.0 - self.s) * length) - special.exprel((1.0 - self.s) * length)
        moment: Floats = m * (m + 1.0) / alpha**2 * 2.0 * beta**2 * length * grown
        return moment

    def p_none_if_alive(self, repeats: Floats, age_days: Floats, horizon_days: Floats) -> Floats:
        """Probability of no purchase in the horizon of customers active at T.

        They are silent to the end, or drop out before they bought.
        """
        silent, dropped = _silence(
            self.r + repeats,
            self.alpha_days + age_days,
            self.s,
            self.beta_days + age_days,
            horizon_days,
        )
        none: Floats = silent + dropped
        return none

    def p_at_least_if_alive(
        self, repeats: Floats, age_days: Floats, horizon_days: Floats, n: int
    ) -> Floats:
        """Probability of ``n`` >= 1 or more purchases in the horizon of customers active at T.

        The n-th purchase comes at a moment u with u / (alpha + T + u) ~ beta(n, r + x), and counts
        if the customer is still active then; the integral runs where that beta has its mass.
        """
        m, alpha = self.r + repeats, self.alpha_days + age_days
        top = horizon_days / (alpha + horizon_days)
        low = np.minimum(special.betaincinv(n, m, 1e-13), top)
        high = np.minimum(special.betaincinv(n, m, 1.0 - 1e-13), top)
        y, weights = legendre(COUNT_NODES)
        z = low[:, None] + (high - low)[:, None] * y
        u = alpha[:, None] * z / (1.0 - z)
        shape = m[:, None]
        log_density = special.xlogy(n - 1.0, z) + special.xlog1py(shape - 1.0, -z)
        log_density -= special.betaln(n, shape)
        log_density -= self.s * np.log1p(u / (self.beta_days + age_days)[:, None])
        likely: Floats = (np.exp(log_density) @ weights) * (high - low)
        return likely


def _silence(
    m: Floats, alpha: Floats, s: float, beta: Floats, length: Floats
) -> tuple[Floats, Floats]:
    """Of a silence of ``length`` days: lived through to the end; broken off by dropout within.

    Args:
        m: Shape of the purchase rate, as known at the start of the silence.
        alpha: Its rate parameter there, days.
        s: Shape of the dropout rate.
        beta: Its rate parameter there, days.
        length: Days.
    """
    decay = m * np.log1p(length / alpha)
    lived = np.exp(-decay - s * np.log1p(length / beta))
    broken = np.empty_like(lived)
    slow = decay < SLOW_DECAY
    for wanted in (slow, ~slow):
        index = np.flatnonzero(wanted)
        for at in range(0, index.size, CHUNK):
            part = index[at : at + CHUNK]
            node = _nodes(m[part], alpha[part], s, beta[part], length[part])
            broken[part] = node.density.sum(axis=1)
    return lived, broken


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Quadrature over the moment of dropout; all of shape (n, nodes).

    Attributes:
        u: Days since the start of the silence.
        log_alpha, log_beta: log(1 + u / alpha) and log(1 + u / beta).
        density: Weighted integrand; its sum is the integral.
    """

    u: Floats
    log_alpha: Floats
    log_beta: Floats
    density: Floats


def _nodes(m: Floats, alpha: Floats, s: float, beta: Floats, length: Floats) -> _Nodes:
    """Place the nodes evenly in log(c + u), c the smaller of alpha and beta."""
    end = np.minimum(length, alpha * np.expm1(np.minimum(VANISHED / m, 700.0)))
    c = np.minimum(alpha, beta)
    width = np.log1p(end / c)
    few = width.max() < SHORT_WIDTH and (m * np.log1p(end / alpha)).max() < SLOW_DECAY
    y, weights = legendre(FEW_NODES if few else MANY_NODES)
    w = width[:, None] * y
    u = c[:, None] * np.expm1(w)
    log_alpha = np.log1p(u / alpha[:, None])
    log_beta = np.log1p(u / beta[:, None])
    density = np.exp(w - m[:, None] * log_alpha - (s + 1.0) * log_beta)
    density *= weights
    density *= (s * width * c / beta)[:, None]
    return _Nodes(u, log_alpha, log_beta, density)


def objective(data: Weighted) -> Objective:
    """Mean negative log-likelihood of (log r, log alpha, log s, log beta), with its gradient."""
    histories, n = data.histories, data.counts
    total = data.n_customers
    x, last = histories.repeats, histories.last_age_days
    silence = histories.age_days - last
    frequency = tabulate(x)
    n_of_x = np.bincount(frequency.codes, n, minlength=frequency.values.size)

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        r, alpha, s, beta = np.exp(theta)
        value = n_of_x @ special.gammaln(r + frequency.values) - total * special.gammaln(r)
        value += total * (r * theta[1] + s * theta[3])
        d_r = n_of_x @ special.digamma(r + frequency.values)
        d_r += total * (theta[1] - special.digamma(r))
        d_alpha, d_s, d_beta = total * r / alpha, total * theta[3], total * s / beta
        for at in range(0, x.size, CHUNK):
            part = slice(at, at + CHUNK)
            m, count = r + x[part], n[part]
            a, b, length = alpha + last[part], beta + last[part], silence[part]
            log_a, log_b = np.log1p(length / a), np.log1p(length / b)
            lived = np.exp(-m * log_a - s * log_b)
            node = _nodes(m, a, s, b, length)
            f = node.density
            broken = f.sum(axis=1)
            both = lived + broken
            value += count @ (np.log(both) - m * np.log(a) - s * np.log(b))
            share = count / both
            live = share * lived
            f_log_a = np.einsum("ij,ij->i", f, node.log_alpha)
            f_log_b = np.einsum("ij,ij->i", f, node.log_beta)
            f_a = np.einsum("ij,ij->i", f, 1.0 / (a[:, None] + node.u))
            f_b = np.einsum("ij,ij->i", f, 1.0 / (b[:, None] + node.u))
            d_r -= count @ np.log(a) + live @ log_a + share @ f_log_a
            d_s -= count @ np.log(b) + live @ log_b + share @ (f_log_b - broken / s)
            # The start's own terms, -m log(a) and -s log(b), cancel against the ratios' there.
            d_alpha -= live @ (m / (a + length)) + share @ (m * f_a)
            d_beta -= live @ (s / (b + length)) + (s + 1.0) * (share @ f_b)
        gradient = np.array([d_r * r, d_alpha * alpha, d_s * s, d_beta * beta])
        return -float(value) / total, -gradient / total

    return evaluate
