"""The nearest centroid as SQL, equal to numpy's answer.

Squared distances are rounded before they are compared, on both sides, so that engines that add in
another order still agree on who is nearest. 5M people x 10 features take about 2 s in DuckDB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from connector.models.clusters.lloyd import DECIMALS
from connector.models.clusters.scaling import Scaler
from connector.warehouse.render import literal

MAX_TERMS = 600
"""Clusters times dimensions beyond which the statement grows too large for some warehouse."""


def assignment_sql(
    features: str,
    previous: str | None,
    *,
    scaler: Scaler,
    centroids: npt.NDArray[np.float64],
    ids: Sequence[str],
    names: Sequence[str],
    keep: float,
    outlier_cut: float | None,
) -> str | None:
    """SELECT of ``profile_id``, ``cluster``, ``name``, ``distance`` and ``is_outlier``.

    Args:
        features: Relation with ``profile_id`` and the features.
        previous: Relation with ``profile_id`` and ``cluster``; None: nobody holds a cluster.
        scaler: The axes.
        centroids: Shape (k, dimensions).
        ids: Of the clusters.
        names: Of the clusters.
        keep: A held cluster stays while the best squared distance exceeds this share of its own.
        outlier_cut: Distance from which on a person is an outlier; None: nobody is.

    Returns:
        One statement of the house dialect, or None beyond :data:`MAX_TERMS` and where an input
        cannot be written in SQL.
    """
    k, n = centroids.shape
    columns = scaler.inputs.sql("x")
    if k * n > MAX_TERMS or columns is None:
        return None
    known = " AND ".join(scaler.inputs.unknown_sql(f, "x") for f in scaler.features)
    plain = ", ".join(f"{column} AS v{j}" for j, column in enumerate(columns))
    axes = ", ".join(f"{d.sql(f'v.v{j}')} AS x{j}" for j, d in enumerate(scaler.dimensions))
    scaled = (
        f"SELECT v.profile_id AS profile_id, v.known AS known, {axes} FROM (SELECT x.profile_id AS"
        f" profile_id, CASE WHEN {known} THEN 0 ELSE 1 END AS known, {plain} FROM {features} AS x"
        ") AS v"
    )
    gaps = ", ".join(
        "round("
        + " + ".join(f"(s.x{j} - {_n(c)}) * (s.x{j} - {_n(c)})" for j, c in enumerate(row))
        + f", {DECIMALS}) AS d{i}"
        for i, row in enumerate(centroids.tolist())
    )
    distances = f"SELECT s.profile_id AS profile_id, s.known AS known, {gaps} FROM ({scaled}) AS s"
    each = ", ".join(f"d.d{i}" for i in range(k))
    plain = ", ".join(f"d.d{i} AS d{i}" for i in range(k))
    held = "CAST(NULL AS DOUBLE)"
    held_code = "CAST(NULL AS BIGINT)"
    join = ""
    if previous is not None:
        whens = [f"WHEN h.cluster = {literal(label)} THEN " for label in ids]
        held = f"CASE {' '.join(f'{w}d.d{i}' for i, w in enumerate(whens))} END"
        held_code = f"CASE {' '.join(f'{w}{i}' for i, w in enumerate(whens))} END"
        join = f" LEFT JOIN {previous} AS h ON h.profile_id = d.profile_id"
    best = (
        f"SELECT d.profile_id AS profile_id, d.known AS known, {plain}, least({each}) AS best"
        f", {held} AS held, {held_code} AS held_code FROM ({distances}) AS d{join}"
    )
    first = " ".join(f"WHEN b.d{i} = b.best THEN {i}" for i in range(k))
    chosen = (
        f"SELECT b.profile_id AS profile_id, {', '.join(f'b.d{i} AS d{i}' for i in range(k))}"
        f", CASE WHEN b.known = 0 THEN -1 WHEN b.held IS NOT NULL AND b.best > {_n(keep)} * b.held"
        f" THEN b.held_code {first} END AS code FROM ({best}) AS b"
    )
    gap = f"CASE {' '.join(f'WHEN c.code = {i} THEN c.d{i}' for i in range(k))} END"
    final = f"SELECT c.profile_id AS profile_id, c.code AS code, sqrt({gap}) AS gap FROM ({chosen})"
    labels = " ".join(f"WHEN f.code = {i} THEN {literal(v)}" for i, v in enumerate(ids))
    words = " ".join(f"WHEN f.code = {i} THEN {literal(v)}" for i, v in enumerate(names))
    outlier = "FALSE" if outlier_cut is None else f"coalesce(f.gap >= {_n(outlier_cut)}, FALSE)"
    return (
        f"SELECT f.profile_id AS profile_id, CASE {labels} END AS cluster, CASE {words} END AS name"
        f", round(f.gap, 6) AS distance, {outlier} AS is_outlier FROM ({final} AS c) AS f"
    )


def _n(value: float) -> str:
    return literal(float(value))
