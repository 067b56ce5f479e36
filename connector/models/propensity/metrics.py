"""How good a probability is: its order, its size, and what the best tenth brings.

Every measure counts ties as they are. Two people with one score share the positives among them
evenly, so that no figure depends on the order of rows. AUC and average precision agree with
scikit-learn's to rounding (the tests hold them together); they are written out here because the
baselines are measured a hundred times and need neither its checks nor its copies.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

N_BINS = 10
"""Bins of the calibration error and its table: tenths of the people."""

LEAST_PROBABILITY = 1e-15
"""Keeps the logarithm of a probability finite."""

RANKING = ("auc", "average_precision", "top_decile_lift")
"""Measures that look at the order alone; a rule that is no probability has these only."""

PROBABILITY = ("brier", "log_loss", "ece", "calibration_in_the_large")
"""Measures that look at the size of the probability."""


def auc(label: Floats, score: Floats) -> float:
    """The chance that a positive scores above a negative, ties counted half.

    Args:
        label: 0 or 1, both present.
        score: Any numbers, larger for likelier.

    References:
        Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".
    """
    n_positive = float(label.sum())
    n_negative = label.size - n_positive
    ranks = float(rankdata(score)[label == 1].sum())
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def average_precision(label: Floats, score: Floats) -> float:
    """Precision averaged over the positives, a group of ties taken as one step."""
    n, positives = _cumulative(label, score)
    gained = np.diff(positives, prepend=0.0)
    return float((gained * positives / n).sum() / positives[-1])


def brier(label: Floats, probability: Floats) -> float:
    """Mean squared distance of probability and outcome; smaller is better."""
    return float(np.mean((probability - label) ** 2))


def losses(label: Floats, probability: Floats) -> Floats:
    """Logarithmic loss of each person."""
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.where(label == 1, -np.log(p), -np.log1p(-p))


def bins(probability: Floats, n_bins: int = N_BINS) -> npt.NDArray[np.int64]:
    """The bin of each person: equal shares by probability, equal probabilities together.

    The same edges as ``sklearn.calibration.calibration_curve(strategy="quantile")``.
    """
    edges = np.quantile(probability, np.linspace(0, 1, n_bins + 1))
    return np.searchsorted(edges[1:-1], probability).astype(np.int64)


def expected_calibration_error(label: Floats, probability: Floats, n_bins: int = N_BINS) -> float:
    """Mean distance of mean probability and share of positives, over bins of equal size.

    References:
        Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using
        Bayesian binning"; bins of equal size rather than width, since most people are unlikely
        buyers and would share one bin.
    """
    bin_of = bins(probability, n_bins)
    gaps = np.bincount(bin_of, weights=probability - label, minlength=n_bins)
    return float(np.abs(gaps).sum() / label.size)


def calibration_in_the_large(label: Floats, probability: Floats) -> float:
    """Mean probability less the share of positives; 0.02 says two points too high."""
    return float(probability.mean() - label.mean())


def captured(label: Floats, score: Floats, share: float) -> float:
    """Positives among the best ``share`` of the people, ties shared out evenly."""
    n, positives = _cumulative(label, score)
    return float(np.interp(share * label.size, np.append(0.0, n), np.append(0.0, positives)))


def lift(label: Floats, score: Floats, share: float = 0.1) -> float:
    """Rate of positives among the best ``share`` over the rate among all."""
    return captured(label, score, share) / share / float(label.sum())


def rank_measures(label: Floats, score: Floats) -> dict[str, float]:
    """The measures that look at the order alone."""
    return {
        "auc": auc(label, score),
        "average_precision": average_precision(label, score),
        "top_decile_lift": lift(label, score),
    }


def measures(label: Floats, score: Floats, probability: Floats) -> dict[str, float]:
    """All measures of one model.

    Args:
        label: 0 or 1, both present.
        score: What percentiles come from; ranks people more finely than a calibrated probability,
            which may have plateaus.
        probability: 0 to 1.
    """
    return rank_measures(label, score) | {
        "brier": brier(label, probability),
        "log_loss": float(losses(label, probability).mean()),
        "ece": expected_calibration_error(label, probability),
        "calibration_in_the_large": calibration_in_the_large(label, probability),
    }


def mean_measures(folds: list[dict[str, float]]) -> Mapping[str, float]:
    """Each measure averaged over folds that all have it."""
    return {name: float(np.mean([fold[name] for fold in folds])) for name in folds[0]}


def _cumulative(label: Floats, score: Floats) -> tuple[Floats, Floats]:
    """People and positives at or above each distinct score, best first."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(np.flatnonzero(np.diff(ranked) != 0), ranked.size - 1)
    return (last + 1).astype(np.float64), np.cumsum(label[order])[last]
