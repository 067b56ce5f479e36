"""The four algorithms behind one face: fit, score, take the score apart, come back from text.

A fitted scorer gives an *additive* value for each person (log-odds; for a forest the mean of its
leaves' shares), which is what :meth:`Scorer.contributions` divides among the features, and a
*score* that rises with it, which calibration and percentiles read.

Fits run on one thread: sums that several threads share come out differently with each number of
threads. Scoring is spread over people instead, in blocks whose size does not depend on the machine.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from connector.models import estimators
from connector.models.arrays import decode, encode
from connector.models.propensity import trees
from connector.models.propensity.calibration import SCORE_DECIMALS
from connector.models.propensity.metrics import Floats
from connector.models.propensity.scaling import Scaling, fit_scaling
from connector.models.propensity.trees import Tree
from connector.models.threads import one_thread

Players = npt.NDArray[np.int64]

BLOCK = 65_536
"""People scored at a time by one worker."""

WORKERS = 2
"""Blocks in the air at once."""

FOREST_TREES = 100
"""Trees of a random forest."""

LEAST_SHARE = 1e-6
"""A forest's share of 0 or 1 counts as this far from it when it becomes log-odds."""


class Scorer(ABC):
    """A fitted algorithm."""

    algorithm: ClassVar[str]

    @abstractmethod
    def additive(self, matrix: Floats) -> Floats:
        """The value that is divided among the features, for a matrix without holes."""

    @abstractmethod
    def contributions(self, matrix: Floats, reference: Floats, players: Players) -> Floats:
        """People x players; each row adds up to ``additive`` less that of the reference row."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the algorithm's name."""

    def score(self, matrix: Floats) -> Floats:
        """What calibration and percentiles read: log-odds, rounded."""
        return np.round(self.log_odds(in_blocks(self.additive, matrix)), SCORE_DECIMALS)

    def log_odds(self, additive: Floats) -> Floats:
        """The additive value as log-odds."""
        return additive


def in_blocks(work: Callable[[Floats], Floats], matrix: Floats) -> Floats:
    """Apply the work to blocks of people, two at a time, and put the answers together."""
    with one_thread():
        if len(matrix) <= BLOCK:
            return work(matrix)
        blocks = [matrix[i : i + BLOCK] for i in range(0, len(matrix), BLOCK)]
        # OpenMP's limit is one of the calling thread, so each worker sets its own.
        with ThreadPoolExecutor(WORKERS, initializer=one_thread) as pool:
            return np.concatenate(list(pool.map(work, blocks)))


# ---------------------------------------------------------------- logistic


@dataclass(frozen=True)
class Linear(Scorer):
    """Logistic regression on scaled inputs.

    The log-odds are a sum, so each feature's Shapley value is its own term less the reference's.

    Attributes:
        scaling: What the inputs go through.
        weights: One for each column, on scaled inputs.
        intercept: Log-odds of somebody average.
    """

    algorithm: ClassVar[str] = "logistic"

    scaling: Scaling
    weights: Floats
    intercept: float

    def additive(self, matrix: Floats) -> Floats:
        """Log-odds, added up column by column: the same sum for everybody, in any block."""
        total = np.full(len(matrix), self.intercept)
        for j, weight in enumerate(self.weights):
            total += weight * self.scaling.column(matrix[:, j], j)
        return total

    def contributions(self, matrix: Floats, reference: Floats, players: Players) -> Floats:
        """Each column's term less the reference's, gathered by player."""
        result = np.zeros((len(matrix), int(players.max()) + 1))
        base = self.scaling.apply(reference[None, :])[0]
        for j, weight in enumerate(self.weights):
            result[:, players[j]] += weight * (self.scaling.column(matrix[:, j], j) - base[j])
        return result

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scaling": self.scaling.to_dict(),
            "weights": encode(self.weights),
            "intercept": self.intercept,
        }


def _fit_linear(matrix: Floats, label: Floats, n_values: int, seed: int) -> Linear:
    del seed  # the optimum is unique
    scaling = fit_scaling(matrix, n_values)
    fitted = LogisticRegression(C=1.0, tol=1e-8, max_iter=1_000).fit(scaling.apply(matrix), label)
    return Linear(scaling, fitted.coef_[0].copy(), float(fitted.intercept_[0]))


# ---------------------------------------------------------------- trees


@dataclass(frozen=True)
class Forest(Scorer):
    """Random forest: the mean of its trees' shares of positives.

    Attributes:
        estimator: scikit-learn's.
        stored: The text that it was read from, which is passed on as it is; None after a fit.
    """

    algorithm: ClassVar[str] = "random_forest"

    estimator: Any
    stored: str | None = None

    def additive(self, matrix: Floats) -> Floats:
        """Mean share of positives in the leaves that a person falls into."""
        result: Floats = self.estimator.predict_proba(matrix)[:, 1]
        return result

    def log_odds(self, additive: Floats) -> Floats:
        """The share as log-odds."""
        result: Floats = logit(np.clip(additive, LEAST_SHARE, 1 - LEAST_SHARE))
        return result

    def contributions(self, matrix: Floats, reference: Floats, players: Players) -> Floats:
        """Exact Shapley values; the forest compares in single precision."""
        return trees.contributions(self._trees, _single(matrix), _single(reference), players)

    @cached_property
    def _text(self) -> str:
        return estimators.dump(self.estimator) if self.stored is None else self.stored

    @cached_property
    def _trees(self) -> list[Tree]:
        n_trees = len(self.estimator.estimators_)
        result = []
        for one in self.estimator.estimators_:
            tree = one.tree_
            shares = tree.value[:, 0, :]
            result.append(
                Tree(
                    feature=tree.feature.astype(np.int64),
                    threshold=tree.threshold,
                    left=tree.children_left,
                    right=tree.children_right,
                    is_leaf=tree.children_left < 0,
                    value=shares[:, 1] / shares.sum(axis=1) / n_trees,
                )
            )
        return result

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"estimator": self._text}


def _single(values: Floats) -> Floats:
    """The values as single precision has them."""
    return values.astype(np.float32).astype(np.float64)


def _fit_forest(matrix: Floats, label: Floats, n_values: int, seed: int) -> Forest:
    del n_values
    fitted = RandomForestClassifier(
        n_estimators=FOREST_TREES,
        max_leaf_nodes=32,
        min_samples_leaf=20,
        max_features="sqrt",
        random_state=seed,
        n_jobs=WORKERS,
    ).fit(matrix, label)
    # People are spread over workers outside; inside, the order of the trees stays fixed.
    fitted.set_params(n_jobs=None)
    return Forest(fitted)


@dataclass(frozen=True)
class Boosting(Scorer):
    """Gradient boosting of small trees over binned features.

    Attributes:
        estimator: scikit-learn's.
        stored: As of :class:`Forest`.
    """

    algorithm: ClassVar[str] = "gradient_boosting"

    estimator: Any
    stored: str | None = None

    def additive(self, matrix: Floats) -> Floats:
        """Log-odds."""
        result: Floats = self.estimator.decision_function(matrix)
        return result

    def contributions(self, matrix: Floats, reference: Floats, players: Players) -> Floats:
        """Exact Shapley values."""
        return trees.contributions(self._trees, matrix, reference, players)

    @cached_property
    def _text(self) -> str:
        return estimators.dump(self.estimator) if self.stored is None else self.stored

    @cached_property
    def _trees(self) -> list[Tree]:
        nodes = [stage[0].nodes for stage in self.estimator._predictors]
        return [
            Tree(
                feature=one["feature_idx"].astype(np.int64),
                threshold=one["num_threshold"].astype(np.float64),
                left=one["left"].astype(np.int64),
                right=one["right"].astype(np.int64),
                is_leaf=one["is_leaf"].astype(np.bool_),
                value=one["value"].astype(np.float64),
            )
            for one in nodes
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"estimator": self._text}


def _fit_boosting(matrix: Floats, label: Floats, n_values: int, seed: int) -> Boosting:
    del n_values
    fitted = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=300,
        max_leaf_nodes=8,
        min_samples_leaf=50,
        l2_regularization=1.0,
        # Small data needs sixty trees, large data three hundred; held-out people tell.
        early_stopping=True,
        validation_fraction=0.15,
        n_iter_no_change=15,
        random_state=seed,
    ).fit(matrix, label)
    return Boosting(fitted)


# ---------------------------------------------------------------- net


@dataclass(frozen=True)
class Net(Scorer):
    """A small net of rectified units on scaled inputs.

    Its score is taken apart by turning the reference into the person one feature at a time, in the
    features' order and in the reverse, and averaging what each feature changed. Both walks end at
    the person, so the parts add up; and the mean of an order and its reverse is Shapley's value
    wherever no more than two features interact at once. The shap library's permutation explainer
    does the same. Only the first layer's sums change from step to step, which makes it cheap.

    Attributes:
        scaling: What the inputs go through.
        weights: Matrices of the layers, inputs x units.
        biases: Of the layers' units.

    References:
        Mitchell, Cooper, Frank and Holmes (2022), "Sampling permutations for Shapley value
        estimation" (antithetic orders).
    """

    algorithm: ClassVar[str] = "neural_net"

    scaling: Scaling
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def additive(self, matrix: Floats) -> Floats:
        """Log-odds."""
        return self._after(self.scaling.apply(matrix) @ self.weights[0] + self.biases[0])

    def _after(self, sums: Floats) -> Floats:
        """Log-odds from the sums of the first layer."""
        for weights, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            sums = np.maximum(sums, 0.0) @ weights + bias
        return sums[:, 0]

    def contributions(self, matrix: Floats, reference: Floats, players: Players) -> Floats:
        """Mean of the walk in order and the walk in reverse."""
        n_players = int(players.max()) + 1
        result = np.empty((len(matrix), n_players))
        base = self.scaling.apply(reference[None, :])
        columns = [np.flatnonzero(players == player) for player in range(n_players)]
        for start in range(0, len(matrix), trees.CHUNK):
            change = self.scaling.apply(matrix[start : start + trees.CHUNK]) - base
            parts = np.zeros((len(change), n_players))
            for order in (range(n_players), reversed(range(n_players))):
                sums = np.repeat(base @ self.weights[0] + self.biases[0], len(change), axis=0)
                before = self._after(sums)
                for player in order:
                    mine = columns[player]
                    sums += change[:, mine] @ self.weights[0][mine]
                    after = self._after(sums)
                    parts[:, player] += (after - before) / 2
                    before = after
            result[start : start + trees.CHUNK] = parts
        return result

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scaling": self.scaling.to_dict(),
            "weights": [encode(one) for one in self.weights],
            "biases": [encode(one) for one in self.biases],
        }


def _fit_net(matrix: Floats, label: Floats, n_values: int, seed: int) -> Net:
    scaling = fit_scaling(matrix, n_values)
    net = MLPClassifier(
        hidden_layer_sizes=(32, 16),
        alpha=1e-3,
        batch_size=int(np.clip(len(matrix) // 100, 64, 1_024)),
        early_stopping=True,
        max_iter=100,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The epoch that was best on held-out people is kept, wherever the training ended.
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        net.fit(scaling.apply(matrix), label)
    return Net(
        scaling,
        tuple(np.ascontiguousarray(one) for one in net.coefs_),
        tuple(np.ascontiguousarray(one) for one in net.intercepts_),
    )


# ---------------------------------------------------------------- all

_FITS: Mapping[str, Callable[[Floats, Floats, int, int], Scorer]] = {
    "logistic": _fit_linear,
    "random_forest": _fit_forest,
    "gradient_boosting": _fit_boosting,
    "neural_net": _fit_net,
}


def fit_scorer(
    algorithm: str, matrix: Floats, label: Floats, *, n_values: int, seed: int
) -> Scorer:
    """Fit one algorithm.

    Args:
        algorithm: One of :data:`connector.models.propensity.spec.ALGORITHMS`.
        matrix: People x columns without holes, in an order that does not depend on the input's.
        label: 0 or 1, both present.
        n_values: So many columns from the left hold values, the others indicators.
        seed: Of everything random in the fit.
    """
    with one_thread():
        return _FITS[algorithm](matrix, label, n_values, seed)


def read_scorer(algorithm: str, data: Mapping[str, Any]) -> Scorer:
    """Inverse of a scorer's ``to_dict``.

    Raises:
        ModelError: An estimator's text cannot be read.
        KeyError: The algorithm is unknown, or a part is missing.
    """
    if algorithm in ("random_forest", "gradient_boosting"):
        text = str(data["estimator"])
        kind = Forest if algorithm == "random_forest" else Boosting
        return kind(estimators.load(text), text)
    scaling = Scaling.from_dict(data["scaling"])
    if algorithm == "neural_net":
        return Net(
            scaling,
            tuple(decode(one) for one in data["weights"]),
            tuple(decode(one) for one in data["biases"]),
        )
    if algorithm == "logistic":
        return Linear(scaling, decode(data["weights"]), float(data["intercept"]))
    raise KeyError(algorithm)
