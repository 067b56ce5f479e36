"""A logistic model as SQL: scoring where the features lie, on any engine.

Only what is a sum of terms can be written so. The text mirrors :mod:`scaling`, :mod:`calibration`
and the percentile's cut points step by step; the tests hold it against ``predict``.
"""

from __future__ import annotations

from connector.models.inputs import Inputs
from connector.models.propensity.calibration import SCORE_DECIMALS, Calibration, number
from connector.models.propensity.metrics import Floats
from connector.models.propensity.scorers import Linear


def linear_sql(
    inputs: Inputs, scorer: Linear, calibration: Calibration, edges: Floats, *, features: str
) -> str | None:
    """SELECT of ``profile_id``, ``probability`` and ``percentile``.

    Args:
        inputs: How features become numbers.
        scorer: The weights.
        calibration: From score to probability.
        edges: Cut points of the percentile.
        features: Relation with ``profile_id`` and the features.

    Returns:
        None where an input cannot be written in SQL.
    """
    columns = inputs.sql("x")
    if columns is None:
        return None
    known = ", ".join(f"{column} AS x{j}" for j, column in enumerate(columns))
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
    scaling, kept = scorer.scaling, f"v.x{j}"
    if not inputs.columns[j].is_indicator:
        low, high = number(scaling.low[j]), number(scaling.high[j])
        above = f"WHEN {kept} > {high} THEN {high} ELSE {kept}"
        kept = f"(CASE WHEN {kept} < {low} THEN {low} {above} END)"
    if scaling.logarithmic[j]:
        kept = f"ln(1.0 + {kept})"
    centre, spread = number(scaling.centre[j]), number(scaling.spread[j])
    return f"(({kept} - {centre}) / {spread})"
