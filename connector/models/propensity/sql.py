"""A logistic model as SQL: scoring where the features lie, on any engine.

Only what is a sum of terms can be written so. The text mirrors :mod:`scaling`, :mod:`calibration`
and the percentile's cut points step by step; the tests hold it against ``predict``.
"""

from __future__ import annotations

from connector.models.propensity.calibration import SCORE_DECIMALS, Calibration, number
from connector.models.propensity.inputs import Inputs
from connector.models.propensity.metrics import Floats
from connector.models.propensity.scorers import Linear
from connector.warehouse.render import quote


def linear_sql(
    inputs: Inputs, scorer: Linear, calibration: Calibration, edges: Floats, *, features: str
) -> str:
    """SELECT of ``profile_id``, ``probability`` and ``percentile``.

    Args:
        inputs: What stands in for unknown values.
        scorer: The weights.
        calibration: From score to probability.
        edges: Cut points of the percentile.
        features: Relation with ``profile_id`` and the features.
    """
    known = ", ".join(
        f"CAST(x.{quote(name)} AS DOUBLE) AS {quote(name)}" for name in inputs.features
    )
    terms = [number(scorer.intercept)]
    for j, weight in enumerate(scorer.weights):
        terms.append(f"{number(weight)} * {_column(inputs, scorer, j)}")
    total = " + ".join(terms)
    return (
        f"SELECT s.profile_id AS profile_id, {calibration.sql('s.score')} AS probability"
        f", {percentile_sql('s.score', edges)} AS percentile"
        f" FROM (SELECT v.profile_id AS profile_id, round({total}, {SCORE_DECIMALS}) AS score"
        f" FROM (SELECT x.profile_id AS profile_id, {known} FROM {features} AS x) AS v) AS s"
    )


def percentile_sql(score: str, edges: Floats) -> str:
    """The number of cut points below the SQL expression ``score``, which must not be NULL."""
    arms = " ".join(f"WHEN {score} <= {number(e)} THEN {k}" for k, e in enumerate(edges))
    return f"CASE {arms} ELSE {len(edges)} END"


def _column(inputs: Inputs, scorer: Linear, j: int) -> str:
    """One scaled column."""
    scaling = scorer.scaling
    n_values = len(inputs.features)
    low, high = number(scaling.low[j]), number(scaling.high[j])
    if j < n_values:
        value = f"coalesce(v.{quote(inputs.features[j])}, {number(inputs.medians[j])})"
        kept = f"CASE WHEN {value} < {low} THEN {low} WHEN {value} > {high} THEN {high}"
        kept = f"({kept} ELSE {value} END)"
    else:
        name = inputs.features[inputs.flagged[j - n_values]]
        kept = f"(CASE WHEN v.{quote(name)} IS NULL THEN 1.0 ELSE 0.0 END)"
    if scaling.logarithmic[j]:
        kept = f"ln(1.0 + {kept})"
    centre, spread = number(scaling.centre[j]), number(scaling.spread[j])
    return f"(({kept} - {centre}) / {spread})"
