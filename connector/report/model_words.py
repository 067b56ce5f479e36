"""Models in plain English: algorithms, measures and naive rules by the names that people use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from connector.numbers import NBSP, count, minus, percent

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "logistic": "logistic regression",
        "random_forest": "random forest",
        "gradient_boosting": "gradient boosting",
        "neural_net": "neural net",
        "bg_nbd_gamma_gamma": "BG/NBD + Gamma-Gamma",
        "mbg_nbd_gamma_gamma": "MBG/NBD + Gamma-Gamma",
        "pareto_nbd_gamma_gamma": "Pareto/NBD + Gamma-Gamma",
        "pooled_rule": "a rule, no model: pooled rate and spend",
        "two_stage_gbm": "two-stage boosted trees",
        "kmeans": "k-means",
        "hierarchical": "hierarchical (Ward)",
        "dbscan": "DBSCAN",
        "hdbscan": "HDBSCAN",
        "lda": "LDA topics",
        "weighted_parts": "habits, pairs and taste",
    }
)

RULES: Mapping[str, str] = MappingProxyType(
    {
        "rfm_score": "the RFM score",
        "base_rate": "the share of all",
        "last_365d_value": "last year's spend",
        "zero": "nobody comes back",
        "popularity": "best sellers",
        "own_favourites": "own favourites",
        "btyd": "a purchase model",
        "shuffled_features": "shuffled features",
        "by_chance": "a ranking by chance",
    }
)
"""Naive rules that a model is held against."""

GATES: Mapping[str, str] = MappingProxyType(
    {
        "positives_at_least": "enough people to learn from",
        "above_chance": "better than chance",
        "auc_at_least": "tells people apart",
        "beats": "beats the simple rule",
        "ece_at_most": "probabilities come true",
        "leakage_alarm": "not too good to be true",
        "feature_leakage_alarm": "no input gives the outcome away",
        "coverage_at_least": "enough people have a score",
        "backtest": "right about the past",
        "min_overlap": "names stay with their people",
        "bootstrap_jaccard": "groups come back when people are drawn anew",
        "beats_popularity": "beats best sellers",
        "beats_own_favourites": "beats own favourites",
        "pairs_found": "pairs that are no accident",
        "min_per_arm": "enough people in each group",
        "qini_ci_low_above": "finds whom treatment moves",
    }
)
"""Conditions of publishing a model."""

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "rfm": "recency, frequency, money",
        "propensity": "propensity",
        "clv": "lifetime value",
        "cluster": "personas",
        "lda": "affinity",
        "association": "next products",
        "uplift": "uplift",
    }
)

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "auc": "AUC",
        "average_precision": "average precision",
        "top_decile_lift": "lift of the best tenth",
        "log_loss": "logarithmic loss",
        "brier": "Brier score",
        "ece": "calibration error",
        "base_rate": "share who do it",
        "mae": "mean absolute error",
        "rmse": "error (RMSE)",
        "total_error": "error of the total",
        "correlation": "correlation",
        "silhouette": "silhouette",
        "bootstrap_ari": "agreement when drawn anew",
        "bootstrap_jaccard": "groups found again when drawn anew",
        "min_segment_share": "smallest group",
        "label_churn": "people who change the label",
        "perplexity": "perplexity",
        "hit_rate": "hit rate",
        "calibration_in_the_large": "predicted less observed",
        "n_positive": "who did it, in training",
        "n_tested": "people tested",
        "n_tested_positive": "who did it, of them",
        "n_judged": "people judged",
        "k": "groups",
        "topics": "topics",
        "ari_with_previous": "agreement with the model before",
        "lowest_jaccard": "agreement of the least stable group",
        "prediction_strength": "prediction strength",
        "start_agreement": "agreement of two starts",
        "log_likelihood": "log likelihood of an item",
        "qini": "Qini coefficient",
        "qini_low": "Qini, low end of its interval",
        "qini_high": "Qini, high end of its interval",
        "effect": "what treatment brings a person",
        "effect_top_fifth": "what it brings the best fifth",
        "effect_bottom_fifth": "what it brings the lowest fifth",
        "n_treated": "people treated",
        "n_control": "people in control",
        "precision": "bought, of what is listed",
        "weight_again": "weight of buying again",
        "weight_goes_with": "weight of what goes with a basket",
        "weight_taste": "weight of taste",
        "weight_popular": "weight of best sellers",
        "n_baskets": "baskets",
        "n_pairs": "pairs",
        "n_sure_pairs": "pairs that are no accident",
        "largest_lift": "largest lift of a pair",
    }
)
"""Measures; one that is not listed goes by its own name."""

BETTER: Mapping[str, str] = MappingProxyType(
    {
        "auc": "higher is better",
        "rmse": "lower is better",
        "silhouette": "higher is better",
        "perplexity": "lower is better",
        "hit_rate": "higher is better",
        "qini": "higher is better",
        "precision": "higher is better",
    }
)

_SHARES = frozenset(
    {"hit_rate", "precision", "total_error", "base_rate", "min_segment_share", "label_churn", "ece"}
)
_FINE = frozenset(
    {"auc", "average_precision", "brier", "calibration_in_the_large", "log_loss", "log_likelihood"}
)
_SMALL = frozenset(
    {"qini", "qini_low", "qini_high", "effect", "effect_top_fifth", "effect_bottom_fifth"}
)
_AMOUNTS = frozenset({"mae", "rmse"})
_WHOLE = frozenset({"k", "topics"})


def algorithm(name: str) -> str:
    """An algorithm as people call it."""
    return ALGORITHMS.get(name, name.replace("_", " "))


def rule(name: str) -> str:
    """A naive rule as people call it."""
    return RULES.get(name, name.replace("_", " "))


def measure(name: str) -> str:
    """A measure as people call it."""
    return MEASURES.get(name, name.replace("_", " "))


def gate(name: str, found: str, required: str) -> str:
    """A condition, what was found and what is needed, as one line without a full stop."""
    text = GATES.get(name, name.replace("_", " "))
    return f"{text[:1].upper()}{text[1:]}: {plain(found)}; needed: {plain(required)}"


def plain(text: str) -> str:
    """A sentence about models with the names of rules and algorithms as people call them."""
    return _NAMES.sub(lambda found: _CALLED[found[0]], text)


def found_on(kind: str) -> str:
    """What the measures of a kind of model were taken on."""
    if kind == "cluster":
        return "On the people that it was fitted on, and on people drawn anew from them"
    return "On data that it has not seen"


def separation(silhouette: float, shuffled: float) -> str:
    """How well groups stand apart, in a sentence.

    Args:
        silhouette: Of the groups, -1 to 1.
        shuffled: Of groups made from shuffled features: what chance alone separates.
    """
    beside = f"Their silhouette is {silhouette:.2f}, beside {shuffled:.2f} with shuffled features"
    if silhouette <= shuffled + HARDLY:
        return (
            f"{beside}: people are hardly better separated than by chance. The personas cut a"
            " continuum into ranges, so read their borders softly."
        )
    return f"{beside}, where 1 would be crowds apart and 0 none at all."


HARDLY = 0.05
"""A silhouette no further above that of shuffled features separates hardly better than chance."""

_CALLED: Mapping[str, str] = {
    # A name of one word may be meant as a word.
    name: words
    for name, words in {**ALGORITHMS, **RULES}.items()
    if "_" in name
}
_NAMES = re.compile(r"\b(?:" + "|".join(sorted(_CALLED, key=len, reverse=True)) + r")\b")


def hundredths(value: float) -> str:
    """A measure with two decimals and a true minus."""
    return minus(f"{value:.2f}")


def figure(name: str, value: float, currency: str = "") -> str:
    """A measure's value in its own unit and with digits that mean something."""
    if name in _SHARES:
        sign = "+" if name == "total_error" and value > 0 else ""
        return sign + percent(value)
    if name in _AMOUNTS:
        amount = f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.2f}"
        return f"{amount}{NBSP}{currency}" if currency else amount
    if name in _WHOLE or name.startswith("n_"):
        return count(value)
    if name in _SMALL:
        # In the unit of the model's metric: a share of a per cent, or a sum of money.
        return minus(f"{value:.3g}")
    if name == "perplexity":
        return f"{value:,.1f}"
    digits = 3 if name in _FINE else 2
    return minus(f"{value:.{digits}f}")
