"""A fitted model says the same of everybody in numpy, on DuckDB and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connector.models.clusters import ClusterSpec
from connector.models.clusters import fit as fit_clusters
from connector.models.propensity import PropensitySpec, PublishIf, Snapshot
from connector.models.propensity import fit as fit_propensity
from connector.ports import Warehouse
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def engines(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> Sequence[Warehouse]:
    """Both engines."""
    return (duck, postgres)


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
        },
        index=pd.Index([f"p{seed}-{i}" for i in range(n)], name="profile_id"),
    )
    frame.loc[rng.random(n) < 0.15, "share"] = np.nan
    frame.iloc[rng.integers(0, n, 12), 4] = 1e9
    frame.iloc[rng.integers(0, n, 12), 4] = -1e9
    frame.iloc[:5] = np.nan
    return frame


def load(warehouse: Warehouse, frame: pd.DataFrame) -> None:
    """Features as a run has them: whole numbers, money, yes or no, the rest floating point."""
    kinds = {"recency": pa.int64(), "orders": pa.int64(), "returned": pa.bool_()}
    ids = pa.array(frame.index.tolist(), pa.string())
    columns: dict[str, pa.Array] = {"profile_id": ids}
    for name in frame.columns:
        values = pa.array(frame[name], pa.float64(), from_pandas=True)
        if name == "spend":
            cents = [None if v is None else Decimal(str(v)) for v in values.to_pylist()]
            values = pa.array(cents, pa.decimal128(18, 2))
        columns[name] = values.cast(kinds.get(name, values.type))
    warehouse.load("features", pa.table(columns))


def scores(warehouse: Warehouse, sql: str, frame: pd.DataFrame) -> pd.DataFrame:
    """What the statement gives on an engine, as a table of its own, in the frame's order."""
    warehouse.create_table_as("scores", sql)
    rows = warehouse.batches("SELECT s.* FROM scores AS s").read_all().to_pandas()
    found: pd.DataFrame = rows.set_index("profile_id").loc[frame.index]
    return found


@pytest.mark.parametrize("calibrate", ["sigmoid", "isotonic"])
def test_propensity(engines: Sequence[Warehouse], calibrate: str) -> None:
    def snapshot(month: int) -> Snapshot:
        frame = people(month)
        odds = 1.2 - frame["recency"].fillna(300) / 200 + 0.4 * frame["orders"].fillna(0)
        chance = np.random.default_rng(month).random(len(frame))
        label = (chance < 1 / (1 + np.exp(-odds))).astype(np.float64)
        return Snapshot(datetime(2025, month, 1, tzinfo=UTC), frame, label, None)

    model = fit_propensity(
        PropensitySpec(
            "buys", window_days=30, algorithms=("logistic",), calibrate=calibrate, folds=3,
            outputs=("probability", "percentile"), publish_if=PublishIf(),
        ),
        [snapshot(month) for month in (3, 5, 7)],
        as_of=AS_OF,
        rng=np.random.default_rng(0),
        wordings={},
    )  # fmt: skip
    assert model.calibration.method == calibrate
    assert model.scorer.scaling.logarithmic.any()
    frame = people(9)
    sql = model.predict_sql()
    assert sql is not None
    wanted = model.predict(frame)
    assert wanted["percentile"].nunique() > 50
    for warehouse in engines:
        load(warehouse, frame)
        found = scores(warehouse, sql, frame)
        assert (found["percentile"] == wanted["percentile"]).all()
        # Calibration, too, is a chain of floating-point steps; nine decimals are beyond doubt.
        assert (found["probability"].round(9) == wanted["probability"].round(9)).all()


def test_clusters(engines: Sequence[Warehouse]) -> None:
    frame = people(1)
    spec = ClusterSpec(
        features=tuple(frame.columns), logs=("spend",), algorithms=("kmeans",), k=(5, 5),
        n_bootstrap=2, choose_sample=300,
    )  # fmt: skip
    fitted = fit_clusters(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0), meanings={})
    model = replace(fitted, outlier_cut=3.0, names=("it's", *fitted.names[1:]))
    held = model.predict(people(2).set_axis(frame.index))["cluster"].sample(
        frac=0.8, random_state=0
    )
    held.iloc[0] = "c99"
    for previous, relation in ((None, None), (held, "held")):
        sql = model.predict_sql("features", relation)
        assert sql is not None
        wanted = model.predict(frame, previous)
        assert wanted["is_outlier"].any()
        assert wanted["cluster"].isna().sum() == 5
        for warehouse in engines:
            load(warehouse, frame)
            table = held.rename("cluster").rename_axis("profile_id").reset_index()
            warehouse.load("held", pa.Table.from_pandas(table, preserve_index=False))
            found = scores(warehouse, sql, frame)
            for column in ("cluster", "name", "is_outlier"):
                same = found[column].fillna("") == wanted[column].fillna("")
                assert same.all(), (column, warehouse.dialect)
            np.testing.assert_array_equal(found["distance"], wanted["distance"])
