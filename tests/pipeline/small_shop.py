"""A small clean shop whose facts are plain arrays, so that tests can reckon for themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from connector.config import load_config
from connector.pipeline.project import Project

AS_OF = datetime(2026, 3, 2, 5, tzinfo=UTC)
SALT = "canary-salt-91"
TOKEN_VARIABLE, SALT_VARIABLE = "HUBSPOT_TOKEN", "HOLDOUT_SALT"

CONFIG = """\
project: {name: small-shop, timezone: Europe/Berlin, currency: EUR}
sources:
  shop: {type: duckdb, path: shop.duckdb}
tables:
  customers:
    from: shop.customers
    columns: {customer_id: id, email: email, created_at: created_at}
    tests: [{unique: customer_id}]
  orders:
    from: shop.orders
    columns: {order_id: id, customer_id: customer_id, ordered_at: ordered_at, gross: total}
    tests: [{non_negative: gross}]
    freshness: {column: ordered_at, warn_after: 26h, error_after: 50h}
quality: {exclude: "email like '%@staff.example'"}
consent:
  from: shop.consents
  columns: {person: email, purpose: purpose, channel: channel, status: status, at: changed_at}
exclusion_lists:
  - {name: suppressed, from: shop.suppressions, key: email}
  - {name: no_vip, where: "lifetime_orders >= 9", applies_to: [vip]}
segments:
  lapsing: {where: "recency_days between 60 and 300"}
  regular: {where: "orders_365d >= 2 and recency_days < 60"}
  big: {where: "revenue_365d >= 150"}
  nobody: {where: "revenue_365d >= 10000000"}
priority_lists:
  - {name: lifecycle, order: [regular, lapsing]}
strategies:
  win_back: {offer: 15_percent, cost_per_contact: 1}
destinations:
  hubspot:
    type: hubspot
    token: "${HUBSPOT_TOKEN}"
    base_url: BASE_URL
    requires: {purpose: marketing, channel: email}
    properties: {liftline_group: rfm.group}
campaigns:
  winback:
    segment: lapsing
    strategy: win_back
    to: hubspot
    arms: {treatment: 70%, business_as_usual: 5%, no_contact: 25%}
    goal: revenue_per_person_30d
    properties: {liftline_offer: strategy.offer}
    budget: {per_run: 3}
  vip:
    segment: regular
    to: hubspot
    arms: {treatment: 50%, no_contact: 50%}
    goal: conversion_30d
  spenders:
    segment: big
    to: hubspot
    goal: orders_per_person_60d
  idle: {segment: nobody, to: hubspot}
  over: {segment: big, to: hubspot, end: 2026-02-01}
holdouts:
  assign: {salt: "${HOLDOUT_SALT}"}
  global: {name: universal, share: 10%}
measurement: {detect: 20%, power: 0.9, confidence: 0.9, estimator: {peeking: fixed}}
"""


@dataclass(frozen=True)
class Facts:
    """What is in the shop, times in UTC."""

    customers: pd.DataFrame
    orders: pd.DataFrame
    consents: pd.DataFrame
    suppressed: frozenset[str]

    def eligible(self, when: datetime, segment: str) -> set[str]:
        """Customers of a segment who may be written to, by the rules in plain words."""
        moment = when.replace(tzinfo=None)
        said = self.consents[self.consents.changed_at < moment].sort_values("changed_at")
        last = said.groupby("email").status.last()
        reachable = set(last[last == "granted"].index) - self.suppressed
        there = self.customers[self.customers.created_at < moment]
        there = there[there.email.isin(reachable)]
        past = self.orders[self.orders.ordered_at < moment]
        past = past.assign(age=(moment - past.ordered_at) // timedelta(days=1))
        year = past[past.ordered_at >= moment - timedelta(days=365)]
        recency, n_year = past.groupby("customer_id").age.min(), year.groupby("customer_id").size()
        chosen = {
            "lapsing": recency[recency.between(60, 300)].index,
            "regular": recency[recency < 60].index.intersection(n_year[n_year >= 2].index),
        }
        return set(there.id) & set(chosen[segment])


def build(folder: Path, *, n: int = 1500, seed: int = 5) -> Facts:
    """Write ``shop.duckdb`` and return what is in it."""
    rng = np.random.default_rng(seed)
    now = AS_OF.replace(tzinfo=None)

    def days_ago(values: np.ndarray) -> pd.Series:
        return pd.Series([now - timedelta(seconds=round(86_400 * float(x))) for x in values])

    customers = pd.DataFrame(
        {
            "id": [f"c{i:04d}" for i in range(n)],
            "email": [f"canary{i:04d}@mail{i % 7}.example" for i in range(n)],
            "created_at": days_ago(rng.uniform(300, 690, n)),
        }
    )
    # Some came lately, and bought at once.
    late = rng.random(n) < 0.05
    customers.loc[late, "created_at"] = days_ago(rng.uniform(3, 20, late.sum())).to_numpy()
    customers.loc[n - 1, "email"] = "canary9999@staff.example"
    rates = rng.gamma(1.2, 0.006, n)
    orders = []
    for i, (created, is_late, rate) in enumerate(
        zip(customers.created_at, late, rates, strict=True)
    ):
        age = (now - created).total_seconds() / 86_400
        times = rng.uniform(0, age, rng.poisson(rate * age))
        for ago in [age - 0.01, *times] if is_late else times:
            total = round(float(rng.lognormal(3.5, 0.6)), 2)
            orders.append((f"o{len(orders):05d}", f"c{i:04d}", float(ago), total))
    frame = pd.DataFrame(orders, columns=["id", "customer_id", "ago", "total"])
    frame["ordered_at"] = days_ago(frame.pop("ago").to_numpy())
    # Younger accounts say yes when they join; of all, some took it back a while or only days ago.
    kind = rng.choice(
        ["yes", "took_back", "took_back_lately", "never"], n, p=[0.75, 0.07, 0.08, 0.1]
    )
    said = []
    for email, created, choice in zip(customers.email, customers.created_at, kind, strict=True):
        if choice != "never":
            said.append((email, "granted", created + timedelta(minutes=5)))
        if choice == "took_back" and created < now - timedelta(days=200):
            said.append((email, "withdrawn", now - timedelta(days=100)))
        if choice == "took_back_lately" and created < now - timedelta(days=200):
            said.append((email, "withdrawn", now - timedelta(days=10)))
    consents = pd.DataFrame(said, columns=["email", "status", "changed_at"])
    consents = consents.assign(purpose="marketing", channel="email")
    suppressed = pd.DataFrame({"email": customers.email[5:12]})
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        tables = {
            "customers": customers,
            "orders": frame,
            "consents": consents,
            "suppressions": suppressed,
        }
        for name, table in tables.items():
            con.register("incoming", table)
            zoned = [c for c in table.columns if c.endswith("_at")]
            picks = ", ".join(
                f"{c}::TIMESTAMPTZ AS {c}" if c in zoned else c for c in table.columns
            )
            con.execute(f"CREATE TABLE {name} AS SELECT {picks} FROM incoming")
            con.unregister("incoming")
    staff = customers.id[n - 1]
    people, bought = customers[customers.id != staff], frame[frame.customer_id != staff]
    return Facts(people, bought, consents, frozenset(suppressed.email))


def open_project(
    folder: Path, url: str, token: str, *, text: str = CONFIG, salt: str = SALT
) -> Project:
    """The project of a folder, at :data:`AS_OF`."""
    (folder / "liftline.yaml").write_text(text.replace("BASE_URL", url))
    config = load_config(folder / "liftline.yaml", {TOKEN_VARIABLE: token, SALT_VARIABLE: salt})
    return Project(config, clock=lambda: AS_OF, identity_key="a-key")
