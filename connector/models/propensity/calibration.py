"""From a score to a probability that means what it says.

``sigmoid`` is Platt's: a logistic curve with two parameters through the log-odds. ``isotonic`` is
monotone and free in shape. Pure isotonic regression makes one step for each block of people, up to
thousands, the outermost of which say 0 or 1. Here people are binned first (at most
:data:`MAX_BINS`, equal in size with two finer ones for the best), the bins' rates are made
monotone, every flat stretch is drawn together into its centre, and the curve runs straight from
centre to centre: it is bounded in size, so that a warehouse can compute it, it never says 0 or 1,
and it rises strictly, so that people who differ in score differ in probability and in reasons.

Isotonic calibration overfits small samples; below :data:`ISOTONIC_POSITIVES` of either outcome
``sigmoid`` is used in its place and the card says so.

References:
    Platt (1999), "Probabilistic outputs for support vector machines"; Niculescu-Mizil and Caruana
    (2005), "Predicting good probabilities with supervised learning"; Oron and Flournoy (2017),
    "Centered isotonic regression".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from connector.models.arrays import decode, encode
from connector.models.propensity.metrics import Floats
from connector.warehouse.render import literal

ISOTONIC_POSITIVES = 500
"""Isotonic calibration needs so many of either outcome."""

MAX_BINS = 42
"""Bins of isotonic calibration: forty of equal size, the last of them cut in three."""

LEAST_BIN = 50
"""People in a bin; fewer people make fewer bins."""

SCORE_DECIMALS = 10
"""Scores are rounded to so many decimals before they meet a knot or a cut point, so that neither
the order of a sum nor the engine that computes it can move anybody across."""

MAX_SCORE = 500.0
"""Scores are kept within this: e to its power is still a number on every engine."""


@dataclass(frozen=True)
class Calibration:
    """A monotone curve from score to probability.

    Attributes:
        method: ``isotonic`` or ``sigmoid``.
        slope, intercept: Of ``sigmoid``: the log-odds are ``slope * score + intercept``.
        scores, probabilities: Of ``isotonic``: the knots, scores ascending; flat beyond the ends.
    """

    method: str
    slope: float
    intercept: float
    scores: Floats
    probabilities: Floats

    def apply(self, score: Floats) -> Floats:
        """The probability of each score."""
        if self.method == "sigmoid":
            odds = self.slope * score + self.intercept
            result: Floats = expit(np.clip(odds, -MAX_SCORE, MAX_SCORE))
            return result
        return np.interp(score, self.scores, self.probabilities)

    def sql(self, score: str) -> str:
        """The same curve over an SQL expression that must not be NULL."""
        if self.method == "sigmoid":
            odds = f"({number(self.slope)} * {score} + {number(self.intercept)})"
            odds = (
                f"(CASE WHEN {odds} > {number(MAX_SCORE)} THEN {number(MAX_SCORE)}"
                f" WHEN {odds} < {number(-MAX_SCORE)} THEN {number(-MAX_SCORE)} ELSE {odds} END)"
            )
            return f"(1.0 / (1.0 + exp(-1.0 * {odds})))"
        x, p = self.scores, self.probabilities
        arms = [f"WHEN {score} <= {number(x[0])} THEN {number(p[0])}"]
        for i in range(1, x.size):
            slope = (p[i] - p[i - 1]) / (x[i] - x[i - 1])
            arms.append(
                f"WHEN {score} <= {number(x[i])} THEN {number(p[i - 1])}"
                f" + ({score} - {number(x[i - 1])}) * {number(slope)}"
            )
        return f"(CASE {' '.join(arms)} ELSE {number(p[-1])} END)"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "method": self.method,
            "slope": self.slope,
            "intercept": self.intercept,
            "scores": encode(self.scores),
            "probabilities": encode(self.probabilities),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Inverse of :meth:`to_dict`."""
        return cls(
            method=str(data["method"]),
            slope=float(data["slope"]),
            intercept=float(data["intercept"]),
            scores=decode(data["scores"]),
            probabilities=decode(data["probabilities"]),
        )


def number(value: float) -> str:
    """A floating point number as an SQL literal that reads back the same on every engine."""
    return literal(float(value))


def fit_calibration(method: str, score: Floats, label: Floats) -> Calibration:
    """Fit the curve on people that the score was not fitted on.

    Args:
        method: ``isotonic`` or ``sigmoid``.
        score: Rounded scores of those people.
        label: 0 or 1.
    """
    n_positive = int(label.sum())
    if method == "isotonic" and min(n_positive, label.size - n_positive) >= ISOTONIC_POSITIVES:
        return _isotonic(score, label)
    return _sigmoid(score, label)


def _sigmoid(score: Floats, label: Floats) -> Calibration:
    """Platt's curve by Newton's method on his smoothed targets, never falling."""
    n_positive = float(label.sum())
    n_negative = label.size - n_positive
    target = np.where(label == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    base = float(logit((n_positive + 1) / (label.size + 2)))
    centre, scale = float(score.mean()), float(score.std())
    slope, intercept = 0.0, base
    if scale > 0:
        x = (score - centre) / scale
        slope, intercept = _newton(x, target, base)
        if slope <= 0:
            # A score that ranks the wrong way round says nothing; the base rate does.
            slope, intercept = 0.0, base
        slope, intercept = slope / scale, intercept - slope * centre / scale
    none = np.empty(0)
    return Calibration("sigmoid", slope, intercept, none, none)


def _newton(x: Floats, target: Floats, intercept: float) -> tuple[float, float]:
    """Slope and intercept of least logarithmic loss, each step halved until it helps."""
    slope = 0.0

    def loss(a: float, b: float) -> float:
        z = a * x + b
        return float(np.sum(np.logaddexp(0, z) - target * z))

    now = loss(slope, intercept)
    for _ in range(100):
        p = expit(slope * x + intercept)
        weight = p * (1 - p) + 1e-12
        gradient = np.array([np.sum((p - target) * x), np.sum(p - target)])
        cross = np.sum(weight * x)
        hessian = np.array([[np.sum(weight * x * x), cross], [cross, np.sum(weight)]])
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while loss(slope - size * step[0], intercept - size * step[1]) > now and size > 1e-10:
            size /= 2
        slope, intercept = slope - size * float(step[0]), intercept - size * float(step[1])
        before, now = now, loss(slope, intercept)
        if before - now <= 1e-12 * abs(before):
            break
    return slope, intercept


def _isotonic(score: Floats, label: Floats) -> Calibration:
    """Rates of bins, made monotone, joined by straight lines."""
    n_bins = int(min(MAX_BINS - 2, max(label.size // LEAST_BIN, 2)))
    shares = np.linspace(0, 1, n_bins + 1)[1:-1]
    if n_bins == MAX_BINS - 2:
        shares = np.append(shares, [0.99, 0.995])
    edges = np.unique(np.quantile(score, shares))
    bin_of = np.searchsorted(edges, score)
    n = np.bincount(bin_of)
    used = np.flatnonzero(n)
    weight = n[used].astype(np.float64)
    mean_score = np.bincount(bin_of, weights=score)[used] / weight
    # One person's worth of the base rate keeps an outermost bin away from 0 and 1.
    rate = (np.bincount(bin_of, weights=label)[used] + label.mean()) / (weight + 1)
    level = IsotonicRegression().fit_transform(np.arange(used.size), rate, sample_weight=weight)
    # Centred: a flat stretch becomes one knot at its people's mean score.
    stretch = np.cumsum(np.append(False, np.diff(level) > 0))
    people = np.bincount(stretch, weights=weight)
    return Calibration(
        "isotonic",
        0.0,
        0.0,
        np.bincount(stretch, weights=weight * mean_score) / people,
        np.bincount(stretch, weights=weight * level) / people,
    )
