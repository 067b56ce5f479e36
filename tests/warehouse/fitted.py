"""Made people with features of every type, and models fitted to them, for more than one engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa

from connector.models.clusters import ClusterModel, ClusterSpec
from connector.models.clusters import fit as fit_clusters
from connector.models.inputs.values import as_tally
from connector.models.propensity import PropensityModel, PropensitySpec, PublishIf, Snapshot
from connector.models.propensity import fit as fit_propensity
from connector.ports import Warehouse

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)


WORDS = ["Garden", "it's", "\u00c4pfel", *(f"rare {i}" for i in range(12))]
PATHS = [None, "", "view > cart=2", "search > view=3;view > cart=1", "view > cart > pay=4"]


def read(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as models read it: tallies taken apart."""
    return frame.assign(paths=pd.Series(map(as_tally, frame["paths"]), frame.index, dtype=object))


def people(seed: int, n: int = 1_200) -> pd.DataFrame:
    """Features of every type, with holes, ties, values beyond every bound and empty rows."""
    rng = np.random.default_rng(seed)
    spend = np.round(rng.lognormal(4, 1.5, n), 2)
    frame = pd.DataFrame(
        {
            "recency": rng.integers(0, 700, n).astype(np.float64),
            "orders": rng.poisson(2, n).astype(np.float64),
            "spend": spend,
            "share": np.round(rng.beta(0.4, 0.6, n), 4),
            "change": rng.normal(0, 40, n),
            "returned": (rng.random(n) < 0.2).astype(np.float64),
            "top": rng.choice([*WORDS, None, " "], n).astype(object),
            "paths": rng.choice(PATHS, n).astype(object),
        },
        index=pd.Index([f"p{seed}-{i}" for i in range(n)], name="profile_id"),
    )
    frame.loc[rng.random(n) < 0.15, "share"] = np.nan
    frame.iloc[rng.integers(0, n, 12), 4] = 1e9
    frame.iloc[rng.integers(0, n, 12), 4] = -1e9
    frame.iloc[:5, :6] = np.nan
    frame.iloc[:5, 6:] = None
    return frame


def load(warehouse: Warehouse, frame: pd.DataFrame) -> None:
    """Features as a run has them: whole numbers, money, yes or no, the rest floating point."""
    kinds = {"recency": pa.int64(), "orders": pa.int64(), "returned": pa.bool_()}
    ids = pa.array(frame.index.tolist(), pa.string())
    columns: dict[str, pa.Array] = {"profile_id": ids}
    for name in frame.columns:
        if name in ("top", "paths"):
            columns[name] = pa.array(frame[name].tolist(), pa.string(), from_pandas=True)
            continue
        values = pa.array(frame[name], pa.float64(), from_pandas=True)
        if name == "spend":
            cents = [None if v is None else Decimal(str(v)) for v in values.to_pylist()]
            values = pa.array(cents, pa.decimal128(18, 2))
        columns[name] = values.cast(kinds.get(name, values.type))
    warehouse.load("features", pa.table(columns))


def linear_model(calibrate: str) -> PropensityModel:
    """A logistic regression of three made months."""

    def snapshot(month: int) -> Snapshot:
        frame = people(month)
        odds = 1.2 - frame["recency"].fillna(300) / 200 + 0.4 * frame["orders"].fillna(0)
        odds += 1.0 * (frame["top"] == "it's") - 1.0 * frame["paths"].isna()
        chance = np.random.default_rng(month).random(len(frame))
        label = (chance < 1 / (1 + np.exp(-odds))).astype(np.float64)
        return Snapshot(datetime(2025, month, 1, tzinfo=UTC), read(frame), label, None)

    return fit_propensity(
        PropensitySpec(
            "buys", window_days=30, algorithms=("logistic",), calibrate=calibrate, folds=3,
            outputs=("probability", "percentile"), publish_if=PublishIf(),
        ),
        [snapshot(month) for month in (3, 5, 7)],
        as_of=AS_OF,
        rng=np.random.default_rng(0),
        wordings={},
    )  # fmt: skip


def cluster_model() -> ClusterModel:
    """Five clusters of made people; the first has a name that needs care in SQL."""
    frame = people(1)
    spec = ClusterSpec(
        features=tuple(frame.columns), logs=("spend",), algorithms=("kmeans",), k=(5, 5),
        n_bootstrap=2, choose_sample=300,
    )  # fmt: skip
    fitted = fit_clusters(read(frame), spec, as_of=AS_OF, rng=np.random.default_rng(0), meanings={})
    return replace(fitted, outlier_cut=3.0, names=("it's", *fitted.names[1:]))
