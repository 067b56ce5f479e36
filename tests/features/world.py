"""A small shop with every table, and all features of it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connector.features.build import build_features
from connector.features.catalogue import PACKS, Settings, packs_of
from connector.features.pack import FeaturePack
from connector.profiles.consent import resolve_consent
from connector.profiles.customers import clean_customers
from connector.profiles.events import (
    EventsSpec,
    clean_events,
    clean_loyalty,
    clean_social,
    clean_tickets,
)
from connector.profiles.identity import stitch
from connector.profiles.orders import clean_items, clean_orders
from connector.profiles.people import build_profiles
from connector.profiles.products import clean_products
from connector.profiles.spec import ConsentSpec, CustomersSpec, IdentitySpec, OrdersSpec
from connector.tables import TABLES
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, KEY, put

NOW = AS_OF.replace(tzinfo=None)
DAY = timedelta(days=1)
ZONE = "Europe/Berlin"
Rows = list[dict[str, Any]]
ALL = tuple(packs_of(PACKS, Settings(timezone=ZONE)))


def ago(days: float) -> Any:
    """A time so many days before the instant."""
    return NOW - timedelta(days=days)


def event(i: object, name: str, days: float, customer: str | None = "1", **others: Any) -> dict:
    return {
        "event_id": str(i),
        "event": name,
        "occurred_at": ago(days),
        "customer_id": customer,
    } | others


def order(i: object, days: float, value: object = 10, customer: str = "1", **others: Any) -> dict:
    return {
        "order_id": str(i),
        "customer_id": customer,
        "ordered_at": ago(days),
        "gross": Decimal(str(value)),
    } | others


def shop(**tables: Rows) -> dict[str, Rows]:
    """The tables of a shop; customers are those that occur."""
    seen = {r.get("customer_id") for rows in tables.values() for r in rows} - {None}
    people = [{"customer_id": str(c), "created_at": ago(3000)} for c in sorted(seen | {"1"})]
    return {"customers": people, "orders": [], **tables}


def prepare(
    warehouse: DuckDBWarehouse,
    tables: Mapping[str, Rows],
    *,
    events: EventsSpec | None = None,
    vectors: Mapping[str, list[float]] | None = None,
    as_of: datetime = AS_OF,
) -> list[Any]:
    """Every clean relation of a shop; the reports of the steps."""
    for name in TABLES:
        if name in tables:
            put(warehouse, name, tables[name])
    if vectors is not None:
        rows = warehouse.connection.sql("SELECT * FROM in_customers").to_arrow_table()
        values = [vectors.get(c) for c in rows["customer_id"].to_pylist()]
        rows = rows.append_column("taste", pa.array(values, pa.list_(pa.float64())))
        warehouse.load("in_customers", rows)
    consent = ConsentSpec()
    reports = [clean_customers(warehouse, CustomersSpec(), as_of=as_of)]
    reports.append(stitch(warehouse, IdentitySpec(), mint_key=KEY).customers)
    resolve_consent(warehouse, consent, as_of=as_of)
    build_profiles(warehouse, consent)
    reports.append(clean_products(warehouse))
    cancelled = OrdersSpec(cancelled="status = 'cancelled'")
    reports.append(clean_orders(warehouse, cancelled, as_of=as_of))
    reports.append(clean_items(warehouse))
    reports.append(clean_events(warehouse, events or EventsSpec(), as_of=as_of))
    reports += [f(warehouse, as_of=as_of) for f in (clean_tickets, clean_social, clean_loyalty)]
    for report in reports:
        assert report.n_accounted == report.n_in, report
    return reports


def features_of(
    tables: Mapping[str, Rows],
    packs: Iterable[FeaturePack] = ALL,
    *,
    history_days: int | None = None,
    **options: Any,
) -> dict[str, dict[str, Any]]:
    """Customer id -> features, of packs over a shop's tables."""
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, tables, **options)
        build_features(warehouse, list(packs), as_of=AS_OF, history_days=history_days)
        return by_customer(warehouse)


def by_customer(warehouse: DuckDBWarehouse) -> dict[str, dict[str, Any]]:
    names = [n for n in warehouse.columns("features") if n != "profile_id"]
    picks = ", ".join(f'f."{n}" AS "{n}"' for n in names)
    rows = warehouse.rows(
        f"SELECT c.customer_id AS customer_id, {picks} FROM features AS f"
        " JOIN profile_customers AS c ON c.profile_id = f.profile_id"
    )
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def of_one(tables: Mapping[str, Rows], *packs: FeaturePack, **options: Any) -> dict[str, Any]:
    """The features of customer 1."""
    return features_of(tables, packs or ALL, **options)["1"]


def properties(**values: Any) -> str:
    return json.dumps(values)
