"""A shop where every kind of model finds something, small enough to fit all of them in seconds.

Three tastes fill their baskets from categories of their own, people buy at rates of their own and
one in three stops for good at some point, so that there are topics, pairs, clusters, lifetime
values and a propensity to be found.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from connector.config import load_config
from connector.pipeline.project import Project

AS_OF = datetime(2026, 3, 2, 5, tzinfo=UTC)
TASTES = {
    "kitchen": ["pans", "knives", "bowls"],
    "garden": ["seeds", "gloves", "pots"],
    "reading": ["novels", "lamps", "cushions"],
}

MODELS = """\
models:
  purchase_30d:
    type: propensity
    predict: {event: orders, at_least: 1}
    predict_window: 30d
    features: [recency_days, orders_90d, orders_365d, revenue_365d]
    algorithms: [logistic]
    validate: {folds: 1}
    publish_if: {positives_at_least: 100, auc_at_least: 0.55}
    profit: {value: 12, cost: 1.5}
  clv:
    type: clv
    horizon: 90d
    algorithms: [mbg_nbd_gamma_gamma]
    publish_if: {backtest_windows: 1}
    outputs: [expected, low_80, high_80, p_alive, expected_orders, next_order_date, percentile,
              tier]
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d]
    k: 3
    labels: {registry: ./labels/personas.yaml}
  affinity:
    type: lda
    level: category
    topics: 3
    labels: {registry: ./labels/affinity.yaml}
  next:
    type: association
    level: category
    min_support: 20
    min_lift: 1.1
    affinity: affinity
"""
CONFIG = (
    """\
project: {name: modelled, timezone: Europe/Berlin, currency: EUR}
sources: {shop: {type: duckdb, path: shop.duckdb}}
tables:
  customers:
    from: shop.customers
    columns: {customer_id: id, email: email, created_at: created_at}
  orders:
    from: shop.orders
    columns: {order_id: id, customer_id: customer_id, ordered_at: ordered_at, gross: total}
  order_items:
    from: shop.items
    columns: {order_id: order_id, product_id: product_id, quantity: quantity, price: price}
  products:
    from: shop.products
    columns: {product_id: id, name: name, category: category}
"""
    + MODELS
    + """\
segments:
  ready:
    where: "purchase_30d.percentile >= 80"
    stability: {exit_after: 2 runs, margin: {percentile: 10}}
  cold: {where: "recency_days > 180"}
  valuable: {where: "clv.tier in ('platinum', 'gold')"}
strategies: {offer: {cost_per_contact: 0.5, cost_per_redemption: 4}}
destinations: {files: {type: csv_export, path: ./out, requires: none_internal,
    match_on: profile_id, properties: {g: rfm.group}}}
campaigns: {push: {segment: ready, strategy: offer, to: [files]}}
holdouts: {assign: {salt: "${SALT}"}}
guards: {needs_approval: {first_sync: false}, removals_above: 100%, additions_above: 100%}
report: {out: ./report.html}
"""
)


def build(folder: Path, *, n: int = 900, seed: int = 3) -> None:
    """Write ``shop.duckdb``, orders up to five weeks after :data:`AS_OF` included."""
    rng = np.random.default_rng(seed)
    end = AS_OF.replace(tzinfo=None) + timedelta(days=35)
    tastes = list(TASTES)
    categories = [c for one in TASTES.values() for c in one]
    products = pd.DataFrame(
        {
            "id": [f"p{i:02d}" for i in range(2 * len(categories))],
            "name": [f"Product {i:02d}" for i in range(2 * len(categories))],
            "category": np.repeat(categories, 2),
        }
    )
    customers, orders, items = [], [], []
    for i in range(n):
        joined = float(rng.uniform(120, 735))
        customers.append((f"c{i:04d}", f"canary{i:04d}@mail.example", joined))
        taste, rate = TASTES[tastes[i % 3]], float(rng.gamma(1.0, 0.02)) + 0.003
        left = rng.exponential(400.0) if rng.random() < 0.5 else np.inf
        level = float(rng.lognormal(3.2, 0.5))
        times = np.sort(rng.uniform(0, joined, rng.poisson(rate * joined)))
        for at in [0.0, *times[times < left]]:
            order = f"o{len(orders):05d}"
            wanted = rng.choice(taste, rng.integers(1, 4), replace=False).tolist()
            if rng.random() < 0.25:
                wanted.append(str(rng.choice(categories)))
            orders.append((order, f"c{i:04d}", joined - at, round(level * len(wanted), 2)))
            items += [
                (order, f"p{2 * categories.index(c) + int(rng.integers(2)):02d}", 1, level)
                for c in dict.fromkeys(wanted)
            ]
    frames = {
        "customers": pd.DataFrame(customers, columns=["id", "email", "created_at"]),
        "orders": pd.DataFrame(orders, columns=["id", "customer_id", "ordered_at", "total"]),
        "items": pd.DataFrame(items, columns=["order_id", "product_id", "quantity", "price"]),
        "products": products,
    }
    for name, column in (("customers", "created_at"), ("orders", "ordered_at")):
        ago = frames[name][column]
        frames[name][column] = [end - timedelta(seconds=round(86_400 * x)) for x in ago]
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        for name, frame in frames.items():
            con.register("incoming", frame)
            picks = ", ".join(
                f"{c}::TIMESTAMPTZ AS {c}" if c.endswith("_at") else c for c in frame.columns
            )
            con.execute(f"CREATE TABLE {name} AS SELECT {picks} FROM incoming")
            con.unregister("incoming")


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = AS_OF

    def __call__(self) -> datetime:
        return self.now


def open_project(folder: Path, clock: Clock, *, text: str = CONFIG) -> Project:
    """The project of a folder."""
    (folder / "liftline.yaml").write_text(text)
    return Project(
        load_config(folder / "liftline.yaml", {"SALT": "salt"}), clock=clock, identity_key="k"
    )
