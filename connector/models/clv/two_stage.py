"""The two-stage model: the probability to buy, times the value if bought, by boosted trees.

It learns from any features what a purchase history cannot tell (visits, clicks, categories), at the
price of needing an outcome: features as of a past day, and the value of the horizon after it. A
customer counts as a buyer when that value is positive; whoever returned more than bought is none.

* Stage 1, among all: probability of a positive value (log loss, so calibrated in the large).
* Stage 2, among buyers: mean value (gamma loss, which is about the mean and minds large values in
  proportion).

The 80 % range comes from how far buyers' values fell from their predicted mean, as ratios, in folds
that the trees had not seen; the ratios' quantiles are part of the model, and a customer's range
their quantiles at the customer's own probability to buy, 0 where not buying already exceeds it.

A feature that nobody of a part of the data has (e-mail clicks of a shop without e-mail) is no
question for the trees that grow there: scikit-learn cannot bin it, so it is held constant.

Stored as JSON (:mod:`connector.models.clv.trees`), without pickle. The seeds of scikit-learn come
from the caller's generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.histories import Floats
from connector.models.clv.ranges import HIGH, LOW
from connector.models.clv.trees import Forest, export
from connector.models.clv.value import LifetimeValues
from connector.models.threads import one_thread

MIN_BUYERS = 100
"""Buyers, and people who did not buy, below which nothing is fitted."""

FOLDS = 3
"""Parts of the data that take turns in being unseen, for the range."""

RATIO_LEVELS = 101
"""Stored quantiles of the ratios, at 0, 1, ..., 100 %."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the trees grow.

    Attributes:
        iterations: Trees of each stage.
        learning_rate: Share of each tree's advice that is taken.
        leaves: Leaves of a tree at most.
        depth: Questions from root to leaf at most.
        rows_in_leaf: Training rows in a leaf at least.
    """

    iterations: int = 100
    learning_rate: float = 0.06
    leaves: int = 15
    depth: int = 5
    rows_in_leaf: int = 40


@dataclass(frozen=True, slots=True, eq=False)
class TwoStage:
    """A fitted two-stage model.

    Attributes:
        features: Names of the matrix' columns, in order; :mod:`connector.models.inputs` made them.
        buys: Log odds of a positive value.
        worth: Logarithm of the mean value of a buyer.
        ratios: Quantiles of value over predicted mean among unseen buyers, ascending.
    """

    features: tuple[str, ...]
    buys: Forest
    worth: Forest
    ratios: Floats

    def predict(self, matrix: Floats) -> LifetimeValues:
        """Value every row; what trees do not know (activity, next purchase) is NaN.

        Args:
            matrix: Features, one row a customer, columns as ``features``; NaN where missing.

        Raises:
            ModelError: The matrix has another number of columns.
        """
        p_buys = special.expit(self.buys.score(matrix))
        mean = np.exp(self.worth.score(matrix))
        unknown = np.full(matrix.shape[0], np.nan)
        return LifetimeValues(
            expected=p_buys * mean,
            low_80=mean * self._ratio(p_buys, LOW),
            high_80=mean * self._ratio(p_buys, HIGH),
            p_alive=unknown,
            p_no_purchase=1.0 - p_buys,
            purchases=unknown,
            spend=unknown,
            next_purchase_days=unknown,
        )

    def _ratio(self, p_buys: Floats, level: float) -> Floats:
        """Quantile of the ratio, with an atom of 1 - p_buys at 0."""
        within = 1.0 - (1.0 - level) / np.maximum(p_buys, 1e-12)
        found = np.interp(within, np.linspace(0.0, 1.0, self.ratios.size), self.ratios)
        ratio: Floats = np.where(within > 0, found, 0.0)
        return ratio

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "features": list(self.features),
            "buys": self.buys.to_dict(),
            "worth": self.worth.to_dict(),
            "ratios": self.ratios.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TwoStage:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                features=tuple(str(name) for name in data["features"]),
                buys=Forest.from_dict(data["buys"]),
                worth=Forest.from_dict(data["worth"]),
                ratios=np.array(data["ratios"], dtype=np.float64),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise ModelError(
                "A stored two-stage model cannot be read.", hint="Fit the model again."
            ) from problem


def fit(
    features: Sequence[str],
    matrix: Floats,
    value: Floats,
    rng: np.random.Generator,
    growth: Growth | None = None,
) -> TwoStage:
    """Grow both stages.

    Args:
        features: Names of the columns.
        matrix: Features as of a past day, one row a customer; NaN where missing.
        value: Value of each customer in the horizon after that day, discounted if the model's is.
        rng: Where seeds and folds come from.
        growth: How the trees grow; by default as :class:`Growth`.

    Raises:
        InsufficientDataError: Too few bought, or too few did not.
        ModelError: The shapes do not agree, or a value is missing.
    """
    if matrix.ndim != 2 or matrix.shape != (value.size, len(features)):
        raise ModelError(
            f"{len(features)} features of {value.size} customers do not make a matrix of shape"
            f" {matrix.shape}."
        )
    if not np.isfinite(value).all():
        raise ModelError(f"{int((~np.isfinite(value)).sum())} values are missing or infinite.")
    bought = value > 0
    n_buyers = int(bought.sum())
    fewest = min(n_buyers, value.size - n_buyers)
    if fewest < MIN_BUYERS:
        raise InsufficientDataError(
            f"{n_buyers} of {value.size} customers bought in the horizon; at least {MIN_BUYERS} who"
            " did and as many who did not are needed.",
            hint="Choose another horizon, or a longer history.",
        )
    growth = growth or Growth()
    seeds = rng.integers(2**31 - 1, size=2 + FOLDS)
    buyers, amounts = matrix[bought], value[bought]
    # On some thousands of rows threads cost more than they bring: 15 times the processor's time.
    with one_thread():
        classifier = _classifier(growth, int(seeds[0])).fit(_askable(matrix), bought)
        regressor = _regressor(growth, int(seeds[1])).fit(_askable(buyers), amounts)
        fold = rng.permutation(n_buyers) % FOLDS
        ratios = np.empty(n_buyers)
        for i in range(FOLDS):
            seen = fold != i
            unseen = _regressor(growth, int(seeds[2 + i])).fit(
                _askable(buyers[seen]), amounts[seen]
            )
            ratios[~seen] = amounts[~seen] / unseen.predict(buyers[~seen])
        buys = export(classifier, matrix, classifier.decision_function(matrix))
        worth = export(regressor, buyers, np.log(regressor.predict(buyers)))
    return TwoStage(
        features=tuple(features),
        buys=buys,
        worth=worth,
        ratios=np.quantile(ratios, np.linspace(0.0, 1.0, RATIO_LEVELS)),
    )


def _askable(matrix: Floats) -> Floats:
    """The matrix with columns of nothing but unknowns held at 0, where no tree can split them."""
    empty = np.isnan(matrix).all(axis=0)
    return np.where(empty, 0.0, matrix) if empty.any() else matrix


def _classifier(growth: Growth, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=growth.iterations,
        learning_rate=growth.learning_rate,
        max_leaf_nodes=growth.leaves,
        max_depth=growth.depth,
        min_samples_leaf=growth.rows_in_leaf,
        early_stopping=False,
        random_state=seed,
    )


def _regressor(growth: Growth, seed: int) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="gamma",
        max_iter=growth.iterations,
        learning_rate=growth.learning_rate,
        max_leaf_nodes=growth.leaves,
        max_depth=growth.depth,
        min_samples_leaf=growth.rows_in_leaf,
        early_stopping=False,
        random_state=seed,
    )
