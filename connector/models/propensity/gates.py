"""What must hold before a propensity model is put to use, and the alarm for leaks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd

from connector.errors import ModelError
from connector.models.card import Gate
from connector.models.inputs import Inputs
from connector.models.inputs.values import Form
from connector.models.propensity.metrics import Floats, auc, measures, rank_measures
from connector.models.propensity.spec import LEAST_POSITIVES, PublishIf

BASE_RATE = "base_rate"
"""The rule that gives everybody the rate of the past; every card has it."""

CHANCE = 0.05
"""How often a model that knows nothing may pass for one that does."""


def gates(
    publish_if: PublishIf,
    *,
    alarm_at: float,
    n_positive: int,
    label: Floats,
    found: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    feature_aucs: Mapping[str, float],
) -> tuple[Gate, ...]:
    """Every gate, passed or not.

    Args:
        publish_if: What is asked.
        alarm_at: An AUC from here on is a leak until the configuration says otherwise.
        n_positive: Distinct people who did it.
        label: Outcomes of the latest cut-off, both present.
        found: Measures of the model on the latest cut-off.
        baselines: The same measures of the naive rules.
        feature_aucs: Feature -> AUC of it alone, in whichever direction is better.

    Raises:
        ModelError: A rule that must be beaten is not among the baselines.
    """
    least = max(publish_if.positives_at_least, LEAST_POSITIVES)
    result = [
        Gate(
            "positives_at_least",
            f"at least {least:,} people who did it",
            f"{n_positive:,} people did it",
            n_positive >= least,
        )
    ]
    measured = found["auc"]
    least_auc = chance_auc(label)
    result.append(
        Gate(
            "above_chance",
            f"an AUC above {least_auc:.3f}: so far chance alone may reach",
            f"AUC {measured:.3f}",
            measured > least_auc,
        )
    )
    if publish_if.auc_at_least is not None:
        result.append(
            Gate(
                "auc_at_least",
                f"an AUC of {publish_if.auc_at_least:.3f} or more",
                f"AUC {measured:.3f}",
                measured >= publish_if.auc_at_least,
            )
        )
    for name in publish_if.beats:
        if name not in baselines:
            raise ModelError(
                f"There is no baseline {name!r} to beat.",
                hint=f"Given are {', '.join(sorted(baselines)) or 'none'}.",
            )
        rival = baselines[name]["auc"]
        result.append(
            Gate(
                "beats",
                f"more than the {rival:.3f} of {name}",
                f"AUC {measured:.3f}",
                measured > rival,
            )
        )
    if publish_if.ece_at_most is not None:
        result.append(
            Gate(
                "ece_at_most",
                f"a calibration error of {publish_if.ece_at_most:.3f} or less",
                f"calibration error {found['ece']:.3f}",
                found["ece"] <= publish_if.ece_at_most,
            )
        )
    return (*result, *_alarms(alarm_at, measured, feature_aucs))


def chance_auc(label: Floats) -> float:
    """The AUC that a score which knows nothing exceeds once in twenty times.

    The AUC is the Mann-Whitney statistic over the number of pairs, whose law under chance is near
    normal for groups of more than eight; ties make it narrower, so the bound errs on the safe side.

    Args:
        label: 0 or 1, both present.

    References:
        Mann and Whitney (1947), "On a test of whether one of two random variables is stochastically
        larger than the other".
    """
    n_positive = float(label.sum())
    n_negative = label.size - n_positive
    deviation = math.sqrt((label.size + 1) / (12 * n_positive * n_negative))
    return 0.5 + NormalDist().inv_cdf(1 - CHANCE) * deviation


def _alarms(bound: float, measured: float, feature_aucs: Mapping[str, float]) -> tuple[Gate, Gate]:
    """The two gates that trip when something knows the outcome beforehand."""
    leaking = sorted(
        (name for name, value in feature_aucs.items() if value >= bound),
        key=lambda name: -feature_aucs[name],
    )
    named = ", ".join(f"{name} {feature_aucs[name]:.3f}" for name in leaking)
    best = max(feature_aucs, key=lambda name: feature_aucs[name], default="")
    calm = f"the best input by itself, {best}, has {feature_aucs[best]:.3f}" if best else "no input"
    return (
        Gate(
            "leakage_alarm",
            f"an AUC below {bound:.2f}: from there on an input may know the outcome already",
            f"AUC {measured:.3f}",
            measured < bound,
        ),
        Gate(
            "feature_leakage_alarm",
            f"none with an AUC of {bound:.2f} or more by itself",
            named or calm,
            not leaking,
        ),
    )


def feature_aucs(inputs: Inputs, features: pd.DataFrame, label: Floats) -> dict[str, float]:
    """AUC of every feature alone, and of the mere fact that it is unknown; the best of them.

    An embedding and a tally count by the best of their numbers, a text by its words in the order of
    how often their people did it.

    Args:
        inputs: The features in use.
        features: Of the latest cut-off.
        label: Of the same people, both outcomes present.
    """
    holed = inputs.holed(features)
    result = {}
    for i, name in enumerate(inputs.features):
        mine = holed[:, inputs.players == i]
        if inputs.forms[name] is Form.WORD:
            result[name] = auc(label, _rate_of_word(mine, label))
            continue
        found = []
        for values in mine[:, : sum(not one.is_indicator for one in inputs.of(name))].T:
            unknown = np.isnan(values)
            known = ~unknown
            found.append(auc(label, unknown.astype(np.float64)))
            if 0 < label[known].sum() < known.sum():
                found.append(auc(label, np.where(unknown, np.median(values[known]), values)))
        result[name] = max(max(one, 1 - one) for one in found)
    return result


def _rate_of_word(indicators: Floats, label: Floats) -> Floats:
    """Of each person, the share of those with the same word who did it."""
    _, word = np.unique(indicators, axis=0, return_inverse=True)
    word = word.reshape(-1)
    rates: Floats = np.bincount(word, label) / np.bincount(word)
    return rates[word]


def baseline_measures(
    latest: pd.DataFrame | None,
    past: list[tuple[pd.DataFrame, Floats]],
    label: Floats,
    *,
    probabilities: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """Measures of the naive rules on the latest cut-off.

    Whether larger or smaller means likelier is read from the past, in the rule's favour. Somebody
    without a value comes last.

    Args:
        latest: The rules' columns on the latest cut-off; None: there are none.
        past: The same on earlier cut-offs, each with its outcomes.
        label: Outcomes of the latest cut-off.
        probabilities: Columns that are probabilities themselves: their size is measured too.

    Raises:
        ModelError: A column that is said to hold probabilities holds something else.
    """
    rate = float(np.concatenate([one for _, one in past]).mean())
    everybody = np.full(label.size, rate)
    result = {BASE_RATE: measures(label, everybody, everybody)}
    if latest is None:
        return result
    for name in map(str, latest.columns):
        before = np.concatenate([_filled(frame, name) for frame, _ in past])
        sign = 1.0 if auc(np.concatenate([one for _, one in past]), before) >= 0.5 else -1.0
        score = _filled(latest, name, sign)
        if name in probabilities:
            probability = latest[name].to_numpy(dtype=np.float64)
            if not ((probability >= 0) & (probability <= 1)).all():
                raise ModelError(f"The baseline {name!r} is no probability for everybody.")
            result[name] = measures(label, probability, probability)
        else:
            result[name] = rank_measures(label, score)
    return result


def _filled(frame: pd.DataFrame, name: str, sign: float = 1.0) -> Floats:
    """A rule's values, larger for likelier, those without one last."""
    values = sign * frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[~np.isnan(values)]
    worst = float(known.min()) - 1.0 if known.size else 0.0
    return np.where(np.isnan(values), worst, values)
