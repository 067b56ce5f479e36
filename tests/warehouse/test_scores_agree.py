"""A fitted model says the same of everybody in numpy, on DuckDB and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connector.ports import Warehouse
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse
from tests.warehouse.fitted import cluster_model, linear_model, load, people, read


@pytest.fixture(scope="module")
def engines(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> Sequence[Warehouse]:
    """Both engines."""
    return (duck, postgres)


def scores(warehouse: Warehouse, sql: str, frame: pd.DataFrame) -> pd.DataFrame:
    """What the statement gives on an engine, as a table of its own, in the frame's order."""
    warehouse.create_table_as("scores", sql)
    rows = warehouse.batches("SELECT s.* FROM scores AS s").read_all().to_pandas()
    found: pd.DataFrame = rows.set_index("profile_id").loc[frame.index]
    return found


@pytest.mark.parametrize("calibrate", ["sigmoid", "isotonic"])
def test_propensity(engines: Sequence[Warehouse], calibrate: str) -> None:
    model = linear_model(calibrate)
    assert model.calibration.method == calibrate
    assert model.scorer.scaling.logarithmic.any()
    assert {"top is it's", "top is (other)", "top is (unknown)", "paths: view > cart"} <= set(
        model.inputs.names
    )
    frame = people(9)
    sql = model.predict_sql()
    assert sql is not None
    wanted = model.predict(read(frame))
    assert wanted["percentile"].nunique() > 50
    for warehouse in engines:
        load(warehouse, frame)
        found = scores(warehouse, sql, frame)
        assert (found["percentile"] == wanted["percentile"]).all()
        # Calibration, too, is a chain of floating-point steps; nine decimals are beyond doubt.
        assert (found["probability"].round(9) == wanted["probability"].round(9)).all()


def test_clusters(engines: Sequence[Warehouse]) -> None:
    frame = people(1)
    model = cluster_model()
    assert "top is Garden" in model.scaler.keys
    held = model.predict(read(people(2).set_axis(frame.index)))["cluster"].sample(
        frac=0.8, random_state=0
    )
    held.iloc[0] = "c99"
    for previous, relation in ((None, None), (held, "held")):
        sql = model.predict_sql("features", relation)
        assert sql is not None
        wanted = model.predict(read(frame), previous)
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
