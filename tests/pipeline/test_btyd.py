"""The purchase model beside a propensity, held to the published parameters on CDNOW."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from connector.config import parse_config
from connector.features.inputs import InputRules
from connector.models.groups import DEFAULT_GROUPS
from connector.models.rfm import RfmSpec, fit
from connector.pipeline.scoring import btyd
from connector.pipeline.scoring.context import ScoringContext
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.config.shop import ENVIRON, MINIMAL
from tests.profiles.tables import shared_data

CUT = datetime(1997, 10, 1, tzinfo=UTC)
WINDOW_DAYS = 91
MODELS = """\
models:
  buys: {{type: propensity, predict: {{event: orders, at_least: {n}}}, predict_window: 91d}}
  quiet: {{type: propensity, predict: {{event: orders, none_within: 91d}}, predict_window: 91d}}
  large: {{type: propensity, predict: {{event: orders, where: "gross > 50"}}, predict_window: 91d}}
"""


def context(warehouse: DuckDBWarehouse, n: int = 1) -> ScoringContext:
    text = MINIMAL.replace("Europe/Berlin", "UTC") + MODELS.format(n=n)
    warehouse.load(
        "features",
        pa.table(
            {
                "profile_id": ["a", "b"],
                "recency_days": [3, 40],
                "frequency": [2, 1],
                "monetary": [20.0, 10.0],
                "lifetime_orders": [2, 1],
            }
        ),
    )
    return ScoringContext(
        config=parse_config(text, ENVIRON),
        warehouse=warehouse,
        as_of=CUT,
        features={},
        features_at=lambda _instant: "features",
        rules=InputRules(),
        rfm=fit(warehouse, RfmSpec(groups=DEFAULT_GROUPS), as_of=CUT),
    )


def load(warehouse: DuckDBWarehouse, orders: pd.DataFrame) -> None:
    warehouse.load(
        "clean_orders",
        pa.table(
            {
                "profile_id": pa.array(orders["profile_id"], pa.string()),
                "ordered_at": pa.array(orders["date"], pa.timestamp("us")),
                "net_revenue": pa.array(orders["value"], pa.float64()),
            }
        ),
    )


@pytest.mark.data
def test_cdnow_by_the_published_parameters() -> None:
    path = shared_data("cdnow_sample", "cdnow_sample.csv.gz")
    orders = pd.read_csv(path, parse_dates=["date"], dtype={"sample_customer_id": str})
    orders = orders.rename(columns={"sample_customer_id": "profile_id", "dollar_value": "value"})
    end = pd.Timestamp(1997, 10, 1)
    before = orders[orders["date"] < end].groupby("profile_id")["date"]
    people = pd.Index(before.min().index)
    with DuckDBWarehouse() as warehouse:
        load(warehouse, orders)
        once = context(warehouse)
        models = dict(once.config.models.named())
        buys = btyd.probabilities(once, models["buys"], CUT, people)
        quiet = btyd.probabilities(once, models["quiet"], CUT, people)
        twice = context(warehouse, n=2)
        more = btyd.probabilities(twice, dict(twice.config.models.named())["buys"], CUT, people)
    assert buys is not None
    assert quiet is not None
    assert more is not None
    # BTYDplus prints these for MBG/NBD on this sample, in weeks.
    r, alpha, a, b = 0.525, 6.183, 0.891, 1.614
    last_day = end - pd.Timedelta(days=1)
    x = (before.nunique() - 1).to_numpy(dtype=float)
    t_x = (before.max() - before.min()).dt.days.to_numpy() / 7
    age = (last_day - before.min()).dt.days.to_numpy() / 7
    alive = 1 / (1 + a / (b + x) * ((alpha + age) / (alpha + t_x)) ** (r + x))
    waits = ((alpha + age) / (alpha + age + WINDOW_DAYS / 7)) ** (r + x)
    np.testing.assert_allclose(buys, alive * (1 - waits), atol=0.004)
    np.testing.assert_allclose(buys + quiet, 1.0, atol=1e-12)
    assert (more < buys).all()
    after = orders[
        (orders["date"] >= end) & (orders["date"] < end + pd.Timedelta(days=WINDOW_DAYS))
    ]
    assert roc_auc_score(people.isin(after["profile_id"]), buys) > 0.77


def test_strangers_do_not_buy_and_nobody_is_no_rule() -> None:
    dates = pd.to_datetime(["1997-03-01", "1997-05-01", "1997-06-01", "1997-09-30"])
    few = pd.DataFrame({"profile_id": ["a", "a", "b", "c"], "date": dates, "value": 10.0})
    with DuckDBWarehouse() as warehouse:
        load(warehouse, few)
        one = context(warehouse)
        models = dict(one.config.models.named())
        found = btyd.probabilities(one, models["buys"], CUT, pd.Index(["a", "b", "stranger"]))
        load(warehouse, few.head(0))
        nothing = btyd.probabilities(one, models["buys"], CUT, pd.Index(["a"]))
    assert found is not None
    assert found["stranger"] == 0.0
    assert ((found >= 0) & (found <= 1)).all()
    assert nothing is None
    assert [name for name in ("buys", "quiet", "large") if btyd.foretells(models[name])] == [
        "buys",
        "quiet",
    ]
