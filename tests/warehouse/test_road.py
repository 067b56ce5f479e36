"""The whole road from sources to segments on PostgreSQL, held against DuckDB row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import pytest

from connector.features.build import build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.models.rfm import RfmSpec, fit, migration, predict
from connector.models.scored import build_scored
from connector.ports import Warehouse
from connector.profiles.consent import grant_permissions, resolve_consent
from connector.profiles.customers import clean_customers
from connector.profiles.exclusion import build_exclusions
from connector.profiles.identity import stitch
from connector.profiles.orders import clean_items, clean_orders
from connector.profiles.people import build_profiles
from connector.profiles.quarantine import collect_quarantine
from connector.profiles.spec import (
    ConsentSpec,
    CustomersSpec,
    ExclusionList,
    ExclusionRule,
    IdentitySpec,
    MarginFrom,
    OrdersSpec,
)
from connector.segments.rules import SegmentSpec, build_segment_members, compile_segments
from connector.segments.trace import explain
from connector.sources.checks import run_checks
from connector.sources.mapping import map_table
from connector.sources.spec import CheckKind, Dedupe, TableCheck, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse
from connector.warehouse.render import quote
from tests.warehouse.untidy_shop import shop

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="the extra postgres is missing")

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)

RULES = (
    SegmentSpec("best", members_of=("rfm.champions", "rfm.loyal")),
    SegmentSpec("lapsing", where="recency_days between 60 and 400 and not orders_365d = 0"),
    SegmentSpec("big", where="monetary_365d >= 300 or aov_365d > 120.5 or country ilike '\u00f6'"),
    SegmentSpec("basket", where="lifetime_revenue / lifetime_orders > 100 and email is not null"),
    SegmentSpec("letters", where="lower(country) in ('de', 'at') and length(email) % 2 = 0"),
)


def road(warehouse: Warehouse) -> dict[str, object]:
    """From the sources to segments by the steps' own functions; what they reported."""
    told: dict[str, object] = {}
    for spec in (
        TableSpec(
            "customers",
            "shop.customers",
            {
                "customer_id": "id", "email": "email", "created_at": "created_at",
                "updated_at": "updated_at", "country": "country", "birth_year": "born",
                "initial": "upper(left(trim(email), 1))",
            },
        ),
        TableSpec(
            "orders",
            "shop.orders",
            {
                "order_id": "no", "customer_id": "who", "ordered_at": "at", "gross": "total",
                "discount": "off", "status": "state",
            },
            dedupe=Dedupe.EXACT,
            filter="total <> 0",
            quarantine={"odd": "total < -25"},
        ),
        TableSpec(
            "order_items",
            "shop.items",
            {
                "order_id": "no", "product_id": "sku", "quantity": "sum(n)", "price": "max(price)",
                "unit_cost": "avg(price) * 0.4",
            },
            group_by=("no", "sku"),
        ),
        TableSpec(
            "consents",
            "shop.consents",
            {
                "person": "person", "purpose": "purpose", "channel": "channel", "status": "state",
                "at": "at",
            },
        ),
    ):  # fmt: skip
        told[spec.name] = map_table(warehouse, spec, timezone="Europe/Berlin")
    checks = [
        TableCheck(kind, "customer_id", to="customers", values=("c0",), warn_above=0.01)
        for kind in CheckKind
        if kind is not CheckKind.NON_NEGATIVE
    ]
    told["checks"] = run_checks(warehouse, "orders", checks)
    consent = ConsentSpec()
    told["clean"] = clean_customers(
        warehouse, CustomersSpec(exclude="email like 'x%'"), as_of=AS_OF
    )
    told["people"] = stitch(warehouse, IdentitySpec(never_merge_on=("o*neil1@*",)), mint_key="mint")
    told["consent"] = resolve_consent(warehouse, consent, as_of=AS_OF)
    build_profiles(warehouse, consent)
    grant_permissions(warehouse, consent)
    told["clean_orders"] = clean_orders(
        warehouse,
        OrdersSpec(
            cancelled="status = 'void'", max_order_value=Decimal(590), margin=MarginFrom.ITEMS
        ),
        as_of=AS_OF,
    )
    told["clean_items"] = clean_items(warehouse)
    told["features"] = build_features(warehouse, [rfm_pack(), orders_pack()], as_of=AS_OF)
    model = fit(warehouse, RfmSpec(), as_of=AS_OF)
    told["model"] = model
    predict(warehouse, model)
    told["migration"] = migration(warehouse, model, model)
    build_scored(warehouse, ["rfm_scores"])
    told["exclusions"] = build_exclusions(
        warehouse,
        [
            ExclusionList("list", "shop.consents", column="person", applies_to=("a", "b")),
            ExclusionList("everywhere", "shop.customers", column="email"),
        ],
        [ExclusionRule("rule", "rfm.group = 'lost'")],
    )
    segments = compile_segments(
        RULES, columns=warehouse.columns("scored"), domains={"rfm.group": RfmSpec().group_names}
    )
    build_segment_members(warehouse, segments)
    collect_quarantine(
        warehouse, ["quarantined_in_orders", "quarantined_orders", "quarantined_customers"]
    )
    people = sorted(row[0] for row in warehouse.rows("SELECT profile_id FROM scored"))[:3]
    told["traces"] = [explain(warehouse, s, p) for s in segments for p in people]
    return told


RELATIONS = (
    *("in_customers", "in_orders", "in_order_items", "in_consents", "clean_customers"),
    *("profile_customers", "profile_emails", "profile_merges", "new_keys", "profiles"),
    *("permissions", "withdrawn_addresses", "clean_orders", "clean_items", "features"),
    *("rfm_scores", "scored", "exclusions", "excluded_addresses", "segment_members", "quarantine"),
)


@pytest.fixture(scope="module")
def roads(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Warehouse], dict[str, dict[str, object]]]]:
    """The same shop in a schema of Postgres and in a DuckDB file, walked through on both."""
    tables = shop()
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, table in tables.items():
            connection.register("incoming", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            connection.unregister("incoming")
    with dbapi.connect(postgres_server, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA demo")
        for name, table in tables.items():
            with connection.cursor() as cursor:
                cursor.adbc_ingest(name, table, mode="create", db_schema_name="demo")
    with PostgresWarehouse(postgres_server) as postgres, DuckDBWarehouse() as duck:
        postgres.attach("shop", "demo")
        duck.attach("shop", path)
        engines: dict[str, Warehouse] = {"postgres": postgres, "duckdb": duck}
        yield engines, {name: road(warehouse) for name, warehouse in engines.items()}


def test_the_steps_tell_the_same(
    roads: tuple[dict[str, Warehouse], dict[str, dict[str, object]]],
) -> None:
    _, told = roads
    for step, report in told["duckdb"].items():
        assert told["postgres"][step] == report, step


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_row_is_the_same(
    roads: tuple[dict[str, Warehouse], dict[str, dict[str, object]]], relation: str
) -> None:
    engines, _ = roads
    columns = list(engines["duckdb"].columns(relation))
    assert list(engines["postgres"].columns(relation)) == columns
    picks = ", ".join(quote(column) for column in columns)
    rows = {
        name: sorted(warehouse.rows(f"SELECT {picks} FROM {relation}"), key=repr)
        for name, warehouse in engines.items()
    }
    assert rows["postgres"] == rows["duckdb"]
    assert rows["duckdb"] or relation == "profile_merges"


def test_small_results_are_copied_into_a_workspace(
    roads: tuple[dict[str, Warehouse], dict[str, dict[str, object]]],
) -> None:
    """As the plan needs them: the same types as if DuckDB had computed them."""
    engines, _ = roads
    duck = engines["duckdb"]
    with DuckDBWarehouse() as workspace:
        for relation in RELATIONS:
            workspace.load(relation, engines["postgres"].batches(f"SELECT * FROM {relation} AS r"))
            assert sorted(workspace.rows(f"SELECT * FROM {relation} AS r"), key=repr) == sorted(
                duck.rows(f"SELECT * FROM {relation} AS r"), key=repr
            )
            assert workspace.columns(relation) == duck.columns(relation), relation


def test_margins_are_those_that_pandas_works_out(
    roads: tuple[dict[str, Warehouse], dict[str, dict[str, object]]],
) -> None:
    """Net revenue less the cost of all lines; unknown where a line or its cost is missing."""
    engines, told = roads
    picks = {
        "clean_orders": ("order_id", "net_revenue", "margin", "is_return"),
        "in_order_items": ("order_id", "product_id", "quantity", "unit_cost"),
    }
    for name, warehouse in engines.items():
        orders, lines = (
            pd.DataFrame(
                warehouse.rows(f"SELECT {', '.join(columns)} FROM {relation}"), columns=columns
            )
            for relation, columns in picks.items()
        )
        lines = lines[lines.order_id.notna()]
        cents = [
            None if any(map(pd.isna, (s, q, c))) else int(q) * int(c * 100)
            for s, q, c in zip(lines.product_id, lines.quantity, lines.unit_cost, strict=True)
        ]
        costs = lines.assign(cents=cents).groupby("order_id").cents
        known = costs.sum()[costs.count() == costs.size()]
        wanted = orders.order_id.map(known)
        wanted = wanted.where(~orders.is_return, -wanted.abs())
        wanted = [
            None if pd.isna(c) else net - Decimal(int(c)) / 100
            for net, c in zip(orders.net_revenue, wanted, strict=True)
        ]
        assert list(orders.margin) == wanted
        n_unknown = wanted.count(None)
        assert 0 < n_unknown < len(wanted)
        assert told[name]["clean_orders"].emptied == {"margin_unknown": n_unknown}
