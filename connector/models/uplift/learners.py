"""The learners: from people of two arms to a forecast of what treatment does to a person.

Every learner ends as a sum of forecasts of ordinary regressions, each with a factor, so that one
class holds them all:

* ``two_model``: the outcome is forecast in each arm, and the difference taken.
* ``x_learner``: the forecast of the other arm tells what would have become of each person, so each
  has an effect; it is learned in each arm apart, and the two are mixed, with more trust in the one
  that rests on the forecast of the larger arm. Good where arms are of very different size.
* ``direct``: the effect itself is learned. What features foretell anyway is taken off the outcome,
  and what remains is explained by being treated more or less than was to be expected, which the
  known chance of treatment tells. One regression, and its errors are those of the effect alone.

References:
    Künzel, Sekhon, Bickel and Yu (2019), "Metalearners for estimating heterogeneous treatment
    effects using machine learning", PNAS 116(10): two models (T-learner) and X-learner. Nie and
    Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", Biometrika 108(2):
    the direct one (R-learner), here with the randomised chance in place of an estimated one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV

from connector.errors import ModelError
from connector.models.arrays import decode, encode
from connector.models.clv.trees import Forest, export
from connector.models.propensity.calibration import SCORE_DECIMALS
from connector.models.propensity.metrics import Floats
from connector.models.propensity.scaling import Scaling, fit_scaling
from connector.models.uplift.trials import Codes

PENALTIES = np.logspace(0, 6, 13)
"""Ridge penalties to choose from by leaving one out, on inputs of standard deviation 1."""

INNER_FOLDS = 3
"""Parts that take turns when the direct learner takes off what features foretell."""

TAIL = 0.001
"""Share of the outcomes other than zero that are drawn in before a fit, on each side."""


class Regression(ABC):
    """A fitted regression."""

    algorithm: ClassVar[str]

    @abstractmethod
    def predict(self, matrix: Floats) -> Floats:
        """One number a row, for a matrix without holes."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the algorithm's name."""


@dataclass(frozen=True)
class Linear(Regression):
    """Ridge regression on scaled inputs.

    Attributes:
        scaling: What the inputs go through.
        weights: One for each column, on scaled inputs.
        intercept: Of somebody average.
    """

    algorithm: ClassVar[str] = "linear"

    scaling: Scaling
    weights: Floats
    intercept: float

    def predict(self, matrix: Floats) -> Floats:
        """Added up column by column: the same sum for everybody, in any block."""
        total = np.full(len(matrix), self.intercept)
        for j, weight in enumerate(self.weights):
            total += weight * self.scaling.column(matrix[:, j], j)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scaling": self.scaling.to_dict(),
            "weights": encode(self.weights),
            "intercept": self.intercept,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Linear:
        """Inverse of :meth:`to_dict`."""
        return cls(
            Scaling.from_dict(data["scaling"]), decode(data["weights"]), float(data["intercept"])
        )


@dataclass(frozen=True)
class Boosting(Regression):
    """Gradient boosting of small trees, as plain numbers."""

    algorithm: ClassVar[str] = "gradient_boosting"

    forest: Forest

    def predict(self, matrix: Floats) -> Floats:
        """Sum of the leaves that each row falls into."""
        return self.forest.score(matrix)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"forest": self.forest.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Boosting:
        """Inverse of :meth:`to_dict`."""
        return cls(Forest.from_dict(data["forest"]))


@dataclass(frozen=True)
class Effect:
    """What treatment does to a person: a sum of forecasts.

    Attributes:
        parts: Factor and regression.
    """

    parts: tuple[tuple[float, Regression], ...]

    def predict(self, matrix: Floats) -> Floats:
        """Outcome with treatment less outcome without, rounded, so that no sum's order matters."""
        total = np.zeros(len(matrix))
        for factor, regression in self.parts:
            total += factor * regression.predict(matrix)
        return np.round(total, SCORE_DECIMALS) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "algorithm": self.parts[0][1].algorithm,
            "parts": [[factor, regression.to_dict()] for factor, regression in self.parts],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Effect:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The algorithm is unknown.
        """
        kinds = {one.algorithm: one for one in (Linear, Boosting)}
        kind = kinds.get(str(data["algorithm"]))
        if kind is None or not data["parts"]:
            raise ModelError(f"A stored uplift model is built from {data['algorithm']!r}.")
        return cls(tuple((float(factor), kind.from_dict(one)) for factor, one in data["parts"]))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows that a learner may see.

    Attributes:
        matrix: Rows x columns without holes, in an order that does not depend on the input's.
        outcome, treated, chance: One number a row.
        person: Number of the person.
        n_values: So many columns from the left hold values, the others flags.
    """

    matrix: Floats
    outcome: Floats
    treated: Floats
    chance: Floats
    person: Codes
    n_values: int


def fit_effect(learner: str, algorithm: str, sample: Sample, *, seed: int) -> Effect:
    """Fit one learner; within :func:`connector.models.threads.one_thread`, to be repeatable.

    Args:
        learner: One of :data:`connector.models.uplift.spec.LEARNERS`.
        algorithm: One of :data:`connector.models.uplift.spec.ALGORITHMS`.
        sample: Both arms present.
        seed: Of everything random in the fit.
    """
    outcome = drawn_in(sample.outcome)
    return _LEARNERS[learner](_Fits(algorithm, sample.n_values, seed), sample, outcome)


def drawn_in(outcome: Floats) -> Floats:
    """The outcomes with the outermost thousandths of those other than zero drawn in.

    One basket of a reseller would otherwise decide what everybody's effect is. Only fits see it;
    what a model is judged by stays as it was.
    """
    nonzero = outcome[outcome != 0]
    if not nonzero.size:
        return outcome
    low, high = np.quantile(nonzero, [TAIL, 1 - TAIL])
    return np.clip(outcome, min(float(low), 0.0), max(float(high), 0.0))


@dataclass(frozen=True, slots=True)
class _Fits:
    """Fits regressions of one algorithm."""

    algorithm: str
    n_values: int
    seed: int

    def __call__(self, matrix: Floats, target: Floats, weight: Floats | None = None) -> Regression:
        fit = _linear if self.algorithm == "linear" else _boosting
        return fit(matrix, target, weight, self.n_values, self.seed)


def _linear(
    matrix: Floats, target: Floats, weight: Floats | None, n_values: int, seed: int
) -> Linear:
    del seed  # the optimum is unique
    scaling = fit_scaling(matrix, n_values)
    fitted = RidgeCV(alphas=PENALTIES).fit(scaling.apply(matrix), target, sample_weight=weight)
    return Linear(scaling, fitted.coef_.copy(), float(fitted.intercept_))


def _boosting(
    matrix: Floats, target: Floats, weight: Floats | None, n_values: int, seed: int
) -> Boosting:
    del n_values
    fitted = HistGradientBoostingRegressor(
        learning_rate=0.06,
        max_iter=200,
        max_leaf_nodes=8,
        # Effects are small beside the spread of outcomes; a small leaf would learn noise.
        min_samples_leaf=max(50, len(target) // 100),
        l2_regularization=1.0,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=10,
        random_state=seed,
    ).fit(matrix, target, sample_weight=weight)
    return Boosting(export(fitted, matrix, fitted.predict(matrix)))


def _two_model(fit: _Fits, sample: Sample, outcome: Floats) -> Effect:
    treated, control = (_arm(fit, sample, outcome, arm) for arm in (1, 0))
    return Effect(((1.0, treated), (-1.0, control)))


def _x_learner(fit: _Fits, sample: Sample, outcome: Floats) -> Effect:
    with_it, without = (_arm(fit, sample, outcome, arm) for arm in (1, 0))
    of_treated, of_control = sample.treated == 1, sample.treated == 0
    gained = outcome[of_treated] - without.predict(sample.matrix[of_treated])
    missed = with_it.predict(sample.matrix[of_control]) - outcome[of_control]
    share = float(sample.chance.mean())
    return Effect(
        (
            (1 - share, fit(sample.matrix[of_treated], gained)),
            (share, fit(sample.matrix[of_control], missed)),
        )
    )


def _direct(fit: _Fits, sample: Sample, outcome: Floats) -> Effect:
    foretold = np.empty_like(outcome)
    # Whose outcome it is takes no part in foretelling it, or the rest would be too small.
    turns = np.random.default_rng(fit.seed).permutation(int(sample.person.max()) + 1)
    part = turns[sample.person] % INNER_FOLDS
    for i in range(INNER_FOLDS):
        seen, unseen = part != i, part == i
        if unseen.any():
            foretold[unseen] = fit(sample.matrix[seen], outcome[seen]).predict(
                sample.matrix[unseen]
            )
    surprise = sample.treated - sample.chance
    weight = surprise**2
    return Effect(
        ((1.0, fit(sample.matrix, (outcome - foretold) / surprise, weight / weight.mean())),)
    )


def _arm(fit: _Fits, sample: Sample, outcome: Floats, arm: int) -> Regression:
    mine = sample.treated == arm
    return fit(sample.matrix[mine], outcome[mine])


_LEARNERS: Mapping[str, Callable[[_Fits, Sample, Floats], Effect]] = {
    "two_model": _two_model,
    "x_learner": _x_learner,
    "direct": _direct,
}
