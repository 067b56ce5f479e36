"""Clusters of a million people: fitted on a sample, placed by numpy and as SQL.

The floor is scikit-learn's KMeans on everybody. The bar is twofold: the sample's centroids lose
less than one per cent of its inertia, and SQL places everybody where numpy does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.cluster import KMeans

from bench.measure import Measure, Timer
from bench.people import AS_OF
from connector.models.clusters import ClusterModel, ClusterSpec, fit
from connector.models.clusters.lloyd import kmeans, squared_distances
from connector.models.threads import one_thread
from connector.warehouse.duckdb import DuckDBWarehouse

N_PEOPLE, N_FEATURES, K = 1_000_000, 10, 6
SAMPLE = 100_000
N_INIT = 3
MAX_LOSS = 1.01
"""Inertia of the sample's centroids against those of everybody."""


def people(n: int, seed: int = 0) -> pd.DataFrame:
    """Overlapping clusters of people."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 1.2, (K, N_FEATURES))[rng.integers(0, K, n)]
    points += rng.normal(0, 1.0, points.shape)
    return pd.DataFrame(
        points,
        columns=[f"f{j}" for j in range(N_FEATURES)],
        index=pd.RangeIndex(n, name="profile_id"),
    )


def measure(n: int, *, n_bootstrap: int = 20) -> dict[str, float]:
    """Seconds of each way, and what the sample loses."""
    frame = people(n)
    spec = ClusterSpec(features=tuple(frame), fit_sample=SAMPLE, n_bootstrap=n_bootstrap)
    with Timer() as whole:
        model = fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0))
    points = model.scaler.transform(frame)
    sample = points[np.random.default_rng(0).permutation(n)[:SAMPLE]]
    with Timer() as ours:
        centroids = kmeans(sample, K, rng=np.random.default_rng(0), n_init=N_INIT)
    with Timer() as theirs, one_thread():
        everybody = KMeans(K, n_init=N_INIT, random_state=0).fit(points)
    with Timer() as placed:
        expected = model.predict(frame)["cluster"]
    table, mismatches = _sql(model, frame, expected)
    return {
        "fit_s": whole.seconds,
        "sample_s": ours.seconds,
        "all_s": theirs.seconds,
        "loss": float(squared_distances(points, centroids).min(axis=1).sum() / everybody.inertia_),
        "numpy_s": placed.seconds,
        "sql_s": table,
        "mismatches": mismatches,
        "k": model.card.metrics["k"],
    }


def _sql(model: ClusterModel, frame: pd.DataFrame, expected: pd.Series) -> tuple[float, int]:
    """Seconds in DuckDB, and people whom it places elsewhere."""
    lake = DuckDBWarehouse()
    lake.load("features", pa.Table.from_pandas(frame.reset_index(), preserve_index=False))
    sql = model.predict_sql("features")
    assert sql is not None
    with Timer() as timer:
        lake.create_table_as("scores", sql)
    found = lake.batches("SELECT s.profile_id, s.cluster FROM scores AS s ORDER BY s.profile_id")
    clusters = found.read_all().column("cluster").to_pandas()
    lake.close()
    return timer.seconds, int((clusters.to_numpy() != expected.to_numpy()).sum())


def run(n: int = N_PEOPLE) -> list[Measure]:
    """The lines of the table."""
    found = measure(n)
    size = f"{n:,} people x {N_FEATURES}"
    return [
        Measure(f"choose k and fit, {size}", f"{found['fit_s']:.1f} s, k = {found['k']:.0f}"),
        Measure(
            f"k-means on {SAMPLE:,}, {size}",
            f"{found['sample_s']:.2f} s",
            f"{found['all_s']:.2f} s, KMeans on all",
            f"inertia {found['loss']:.4f}",
            f"<= {MAX_LOSS}",
            found["loss"] <= MAX_LOSS,
        ),
        Measure(
            f"place everybody as SQL, {size}",
            f"{found['sql_s']:.2f} s",
            f"{found['numpy_s']:.2f} s, numpy",
            f"{found['mismatches']:.0f} elsewhere",
            "0 elsewhere",
            found["mismatches"] == 0,
        ),
    ]
